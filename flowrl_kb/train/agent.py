"""A method made ready for a task: its losses, the networks they train, and the update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flowrl_kb.errors import UserError
from flowrl_kb.parts.steering import BESIDE
from flowrl_kb.parts.types import Method
from flowrl_kb.tasks import bandits
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.tasks.offline import DataSet
from flowrl_kb.train import settings as run_settings
from flowrl_kb.train import update
from flowrl_kb.train.settings import Settings
from flowrl_kb.train.update import Trainer


class Agent(NamedTuple):
    """What the loops need: the method, its trainer, and the settings that both came from."""

    method: Method
    trainer: Trainer
    coordinates: Mapping[str, str]
    hyper: Mapping[str, Any]
    training: Mapping[str, Any]


def make(method: Method, settings: Settings, task: Any) -> Agent:
    """Join a method with a task (anything with `ds`, `d`, `box`).

    On bandits the reward itself is the critic where `critic=exact` asks for it and where the card's critic is `reward`.
    The frozen policy that an on-policy method starts from, or that stands beside an actor, is the exact field of the
    bandit's data.
    Errors: UserError where no reward function or frozen policy is known, or no state is met twice.
    """
    shapes = run_settings.shapes(settings, method.trains, task.ds, task.d, task.box)
    fixed: dict[str, Any] = {}
    cell = settings.coordinates
    given = settings.training["critic"] == "exact" or cell.get("critic") == "reward"
    started = cell.get("setting") == "on-policy" and cell.get("reference") == "fixed"
    frozen = started or cell.get("space") in BESIDE
    wants = {"a critic equal to the reward": given, "a frozen policy": frozen, "a group": cell.get("critic") == "group"}
    stored = cell.get("critic") == "advantage" and cell.get("setting") != "on-policy"
    wants["the return of a stored action"] = stored and not isinstance(task, DataSet)
    for what in (name for name, wanted in wants.items() if wanted and not isinstance(task, Bandit)):
        raise UserError(f"{settings.name} on {task.name}: {what} needs a bandit")
    if frozen:
        path, grid = run_settings.path_and_grid(cell, int(settings.hyper["steps"]), task.box)
        fixed["behaviour"] = bandits.behaviour(task, path, grid, "ode")
    if given:
        exact = bandits.oracle(task, settings.training["heads"], settings.training["reward_scale"])
        fixed |= {"critic": exact, "target_critic": exact}
    trainer = update.make(method, shapes, settings.training, fixed)
    return Agent(method, trainer, settings.coordinates, settings.hyper, settings.training)
