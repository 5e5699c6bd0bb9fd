"""`flowrl-kb data`: train a policy, store its episodes as a Minari data set, list what is there."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from flowrl_kb import __version__
from flowrl_kb.errors import UserError

NAME = re.compile(r"([\w-]+/)*[\w-]+-v\d+")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Collect and list offline data sets.")


@app.command("list")
def list_() -> None:
    """List the data sets on this machine."""
    from flowrl_kb.kb.terminal import table
    from flowrl_kb.tasks import offline

    rows = [
        (id, made.get("algorithm_name", ""), made["total_episodes"], made["total_steps"])
        for id, made in sorted(offline.local().items())
    ]
    table(("data set", "method", "episodes", "steps"), rows)


@app.command()
def collect(
    id: Annotated[str, typer.Argument(help="Name of the new data set, for example pendulum/sac-v0.")],
    task: Annotated[str, typer.Option(help="gym/ID.")],
    method: Annotated[str, typer.Option(help="The method that is trained and then recorded.")],
    steps: Annotated[int, typer.Option(help="Environment steps of training.", min=1)] = 20_000,
    episodes: Annotated[int, typer.Option(help="Episodes that are recorded.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Root of all randomness.", min=0)] = 0,
) -> None:
    """Train a method on a task, then record episodes of what it executes, with where they came from."""
    from flowrl_kb.tasks import offline

    if id in offline.local():
        raise UserError(f"data set {id!r} exists already; choose another name or version")
    if not NAME.fullmatch(id):
        raise UserError(f"found {id!r}, expected a name with a version such as pendulum/sac-v0")
    if not task.startswith("gym/"):
        raise UserError(f"--task {task}: found no Gymnasium task, expected gym/ID")

    from flowrl_kb import tasks
    from flowrl_kb.kb.load import load
    from flowrl_kb.train import build, choose, runs
    from flowrl_kb.train.drive import drive
    from flowrl_kb.train.off_policy import OffPolicyRun
    from flowrl_kb.train.record import record

    kb, where = load(), tasks.get(task)
    choice = choose.method(kb, method, False)
    agent = build.agent(choice, build.settled(kb, choice, where, steps), where)
    run = runs.make(agent, where, seeds=1, seed=seed)
    if not isinstance(run, OffPolicyRun):
        raise UserError(f"--method {method}: found an on-policy method, expected one that learns off-policy")
    provenance = {"flowrl_kb": __version__, "method": method, "task": task, "steps": steps, "seed": seed}
    provenance |= {"date": date.today().isoformat(), "hyper": agent.hyper, "training": agent.training}
    try:
        with TemporaryDirectory() as folder:
            if not drive(run, Path(folder), steps, evaluate_every=max(steps // 10, 1)):
                raise KeyboardInterrupt
        made = record(run, id, episodes, provenance | choice.identity)
    except KeyboardInterrupt:
        print("stopped; no data set was stored")
        raise typer.Exit(130) from None
    print(f"{id}: {made.total_episodes} episodes, {made.total_steps} steps")
    print(f"train on it: flowrl-kb run iql --task minari/{id}")
