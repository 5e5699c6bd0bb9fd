"""`flowrl-kb run`: read what was asked, check it whole, then train."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flowrl_kb.errors import UserError

BANDIT_STEPS = 1000
GYM_STEPS = 100_000


def run(
    method: Annotated[str | None, typer.Argument(help="A method or variant: sdac, dql:core.")] = None,
    cell: Annotated[
        str | None, typer.Option(help="A cell instead: route=regression-gradient,intermediate-value=soft.")
    ] = None,
    task: Annotated[str, typer.Option(help="bandit/NAME, gym/ID or minari/ID.")] = "bandit/8gaussians",
    steps: Annotated[int | None, typer.Option(help="Updates (bandits, data sets) or environment steps.", min=1)] = None,
    seeds: Annotated[int, typer.Option(help="Seeds trained together (bandits).", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Root of all randomness.", min=0)] = 0,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a hyper-parameter.")
    ] = None,
    composed: Annotated[bool, typer.Option("--composed", help="Use the composed cell, not the paper's loss.")] = False,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/... by default.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
) -> None:
    """Train a method or a cell on a task."""
    if resume is not None:
        from flowrl_kb.train import checkpoint

        if method or cell or set or composed or out:
            raise UserError("--resume: takes its method, settings and folder from the run; only --steps may be added")
        asked = checkpoint.read_config(resume)["asked"]
        asked["steps"] = steps or asked["steps"]
        return _train(asked, resume, resumed=True)
    if (method is None) == (cell is None):
        raise UserError("run: expected a method (flowrl-kb run sdac) or --cell AXIS=VALUE,..., and not both")
    asked = {"method": method, "cell": cell, "task": task, "steps": steps, "seeds": seeds, "seed": seed}
    asked |= {"set": list(set or ()), "composed": composed}
    if out is not None and (out / "config.json").exists():
        raise UserError(f"--out {out}: holds a run already; continue it with --resume {out} or choose another folder")
    _train(asked, out, resumed=False)


def _folder(asked: dict[str, Any], name: str) -> Path:
    stem = f"{name.replace(':', '-')}_{asked['task'].replace('/', '-')}_{datetime.now():%Y%m%d-%H%M%S}"
    folder = Path("runs") / stem
    for i in range(2, 1000):
        if not folder.exists():
            return folder
        folder = Path("runs") / f"{stem}-{i}"
    return folder


def _train(asked: dict[str, Any], folder: Path | None, resumed: bool) -> None:
    """Everything is read and checked before the run folder is made."""
    from flowrl_kb import tasks
    from flowrl_kb.kb.load import load
    from flowrl_kb.train import choose

    kb = load()
    if asked["method"] is not None:
        choice = choose.method(kb, asked["method"], asked["composed"])
    else:
        choice = choose.cell(kb, asked["cell"])
    task = tasks.get(asked["task"])

    from flowrl_kb.train import build, checkpoint, log, settings
    from flowrl_kb.train.drive import drive

    on_bandit = asked["task"].startswith("bandit/")
    steps = asked["steps"] or (BANDIT_STEPS if on_bandit else GYM_STEPS)
    if resumed:
        # The recorded settings, because the card may have been changed since.
        stored = checkpoint.read_config(folder)
        chosen = settings.Settings(choice.name, stored["coordinates"], stored["hyper"], stored["training"])
    else:
        chosen = settings.override(build.settled(kb, choice, task, steps), settings.parse(asked["set"]))
    agent = build.agent(choice, chosen, task)

    from flowrl_kb.train import runs

    this = runs.make(agent, task, seeds=asked["seeds"], seed=asked["seed"])
    if choice.composed:
        runs.probe(this, choice.name)
    for line in (*choice.notes, chosen.preset):
        if line:
            print(line)
    if resumed:
        this.load(*checkpoint.restore(folder, this.state()))
        print(f"resumed {folder} at {this.step} {this.unit}")
        if stored["card_sha256"] != choice.identity["card_sha256"]:
            print(f"note: the card of {choice.card} was changed since; the run keeps its recorded settings")
    else:
        folder = folder or _folder(asked, choice.name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {folder}: cannot be made ({error.strerror})") from None
        config = {"asked": {**asked, "steps": steps}, "name": choice.name, "composed": choice.composed}
        config |= {"coordinates": choice.coordinates, "hyper": chosen.hyper, "training": chosen.training}
        log.write_config(folder, {**config, **choice.identity})
    try:
        finished = drive(this, folder, steps, **runs.intervals(this, steps))
    except KeyboardInterrupt:
        print(f"stopped at once; what was saved last can be continued: flowrl-kb run --resume {folder}")
        raise typer.Exit(130) from None
    if not finished:
        print(f"interrupted at {this.step} of {steps} {this.unit}; continue: flowrl-kb run --resume {folder}")
        raise typer.Exit(130)
    try:
        for line in runs.report(this, folder, choice, chosen):
            print(line)
    except KeyboardInterrupt:
        print(f"stopped before the report was complete; it is made again by flowrl-kb run --resume {folder}")
        raise typer.Exit(130) from None
