"""Tasks: analytic bandits with exact laws, Gymnasium environments, and Minari data sets."""

from __future__ import annotations

from typing import Any

from flowrl_kb.errors import UserError, unknown

SUITES = ("bandit", "gym", "minari")


def get(name: str) -> Any:
    """The task of a name such as `bandit/8gaussians` or `gym/HalfCheetah-v5`: a `bandits.Bandit`, a `gym.Task` or
    an `offline.DataSet`.

    Errors: UnknownName with the nearest name; MissingExtra where Gymnasium is not installed.
    """
    suite, slash, rest = name.partition("/")
    if suite == "bandit" and rest:
        from flowrl_kb.tasks import bandits

        return bandits.get(rest)
    if suite == "gym" and rest:
        from flowrl_kb.tasks import gym

        return gym.get(rest)
    if suite == "minari" and rest:
        from flowrl_kb.tasks import offline

        return offline.get(rest)
    if slash and rest:
        raise unknown("task suite", suite, SUITES)
    from flowrl_kb.tasks import bandits

    known = [f"bandit/{b}" for b in bandits.NAMES]
    raise (
        unknown("task", name, known + ["gym/HalfCheetah-v5", "gym/Pendulum-v1"])
        if name
        else UserError("task: found an empty name, expected for example bandit/8gaussians")
    )
