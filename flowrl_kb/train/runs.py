"""Which loop a method and a task need, and what is reported at the end."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.stages import Lowered

from flowrl_kb.errors import UserError
from flowrl_kb.tasks import laws
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.tasks.offline import DataSet
from flowrl_kb.train import evaluate
from flowrl_kb.train.agent import Agent
from flowrl_kb.train.bandit_run import BanditRun, OnPolicyBanditRun
from flowrl_kb.train.drive import Run


def make(agent: Agent, task: Any, *, seeds: int, seed: int) -> Run:
    """The run of an agent on a task. Errors: UserError for combinations that do not exist."""
    setting = agent.coordinates.get("setting")
    if isinstance(task, Bandit):
        if setting == "on-policy":
            return OnPolicyBanditRun(agent, task, seeds, seed)
        return BanditRun(agent, task, seeds, seed)
    if seeds > 1:
        raise UserError(
            f"--seeds {seeds}: tasks other than bandits train one seed a run; start one run for each --seed"
        )
    if isinstance(task, DataSet):
        if setting == "on-policy":
            raise UserError(f"{agent.method.name}: an on-policy method needs its own roll-outs; {task.name} has none")
        from flowrl_kb.train.offline import OfflineRun

        return OfflineRun(agent, task, seed)
    if setting == "offline":
        raise UserError(
            f"{agent.method.name}: an offline method needs data, and {task.name} has none here; "
            "run it on a bandit (--task bandit/8gaussians) or on a data set (--task minari/ID, see flowrl-kb data)"
        )
    if setting == "on-policy":
        from flowrl_kb.train.on_policy import OnPolicyRun

        return OnPolicyRun(agent, task, seed)
    from flowrl_kb.train.off_policy import OffPolicyRun

    return OffPolicyRun(agent, task, seed)


def probe(run: Run, name: str) -> tuple[Lowered, ...]:
    """Trace the updates of a cell before anything is written, because not every cell fits together.

    Errors: UserError with the part that failed; for catalogued methods a failure is a defect and keeps its traceback.
    """
    try:
        return run.trace()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        place = [f for f in traceback.extract_tb(error.__traceback__) if "flowrl_kb" in f.filename][-1]
        where = f"{Path(place.filename).stem}.{place.name}"
        raise UserError(f"{name}: this cell cannot be executed ({where}: {str(error).splitlines()[0]})") from error


def intervals(run: Run, steps: int) -> dict[str, int | None]:
    """How often a run is evaluated and saved, in steps."""
    if isinstance(getattr(run, "task", None), Bandit):
        return {"evaluate_every": max(steps // 4, 1), "save_every": None}
    return {"evaluate_every": max(steps // 10, 1), "save_every": max(steps // 10, 1)}


def report(run: Run, folder: Path, choice: Any, settings: Any) -> list[str]:
    """The closing lines; figures go to result.json as well."""
    if not isinstance(run.task, Bandit):
        returns = run.evaluate()
        _write(folder, {name: float(value) for name, value in returns.items()})
        return [f"return {returns['return']:.1f} (evaluation, {run.step} {run.unit})", f"run: {folder}"]
    return _bandit_report(run, folder, choice, settings)


def _bandit_report(run: Any, folder: Path, choice: Any, settings: Any) -> list[str]:
    task, predictor = run.task, choice.law.predictor if choice.law else None
    law = laws.predict(predictor, task, settings.hyper)
    generated, executed = run.samples()
    executed_law = laws.of_executed(predictor, choice.coordinates)
    samples = executed if executed_law else generated
    what = "executed actions" if executed_law else "generated actions"
    reward = np.asarray(run.evaluate()["reward/executed"])
    result: dict[str, Any] = {"task": task.name, "steps": run.step, "expected_reward": reward.tolist()}
    if law is None:
        reason = (choice.law and (choice.law.reason or choice.law.statement)) or "no card predicts a law for this cell"
        lines = [f"no law to compare with: {reason}"]
        shown, title = laws.behaviour(task), "behaviour"
    else:
        distance, reference = evaluate.judge(law, samples, jax.random.key(2**31 - 1))
        result |= {"law": predictor, "of": what, "energy_distance": distance.tolist(), "reference": reference}
        spread = f" (seeds {distance.min():.4f} to {distance.max():.4f})" if len(distance) > 1 else ""
        lines = [
            f"distance of the {what} to the exact {predictor} law: energy distance {distance.mean():.4f}{spread}; "
            f"two exact samples of this size: {reference:.4f}"
        ]
        shown, title = law, f"exact {predictor} law"
    picture = folder / "samples.png"
    columns = {f"{settings.name}, generated": generated[0], f"{settings.name}, executed": executed[0]}
    evaluate.picture(picture, task, shown, title, columns)
    _write(folder, result)
    return [
        *lines,
        f"expected reward of executed actions: {float(reward.mean()):.3f}",
        f"picture: {picture}",
        f"run: {folder}",
    ]


def _write(folder: Path, result: dict[str, Any]) -> None:
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
