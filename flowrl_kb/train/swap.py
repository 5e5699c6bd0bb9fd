"""Swaps: one component of a method exchanged at a time, wherever the constraints allow it.

Components are the values of all axes (route, operator, path, prediction, sampler, critic, ...). A swap is traced: a
chunk of updates on a bandit is worked out in shapes and types, which shows whether the parts fit, and nothing is
compiled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, NamedTuple

import typer

from flowrl_kb.errors import UserError, unknown
from flowrl_kb.kb import cells
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node

RUNS, REFUSED, NO_PART = "runs", "refused", "no part"


class Swap(NamedTuple):
    """One exchanged value: whether the cell runs, and if not, the constraint or the missing part."""

    method: str
    axis: str
    value: str
    outcome: str
    why: str = ""


def swaps(kb: KB, node: Node, axes: Iterable[str] = (), updates: int = 0) -> Iterator[Swap]:
    """Every swap of a method on the axes named, or on all of them; with `updates` each cell that fits makes so many."""
    for axis in [kb.axes[name] for name in axes] or kb.axes.values():
        for value in axis.values:
            if value.id == node[axis.id]:
                continue
            cell = {**node.coordinates, axis.id: value.id}
            if broken := cells.violations(kb, cell):
                yield Swap(node.id, axis.id, value.id, REFUSED, f"{broken[0].id}: {broken[0].because}")
                continue
            why = attempted(kb, node, cell, updates)
            yield Swap(node.id, axis.id, value.id, NO_PART if why else RUNS, why)


def attempted(kb: KB, node: Node, cell: dict[str, str], updates: int) -> str:
    """Trace (and run) a cell with the settings of a method; what prevents it, or nothing."""
    from flowrl_kb.tasks import bandits
    from flowrl_kb.train import build, choose, runs

    choice = choose.method(kb, node.id, composed=True)._replace(name="swap", coordinates=cell)
    task = bandits.get("8gaussians")
    try:
        run = runs.make(build.agent(choice, build.settled(kb, choice, task, 40), task), task, seeds=1, seed=0)
        runs.probe(run, "swap")
        if updates:
            run.advance(updates)
    except UserError as error:
        return error.lines[0]
    return ""


def swap(
    methods: Annotated[list[str] | None, typer.Argument(help="Ids; all when none is given.")] = None,
    axis: Annotated[list[str] | None, typer.Option(help="Only these axes.")] = None,
    updates: Annotated[int, typer.Option(help="Also make so many updates of each cell that fits.", min=0)] = 0,
) -> None:
    """Exchange one component of a method at a time and say what runs, what is refused and why."""
    from flowrl_kb.kb.load import load

    kb = load()
    for name in axis or ():
        if name not in kb.axes:
            raise unknown("axis", name, kb.axes)
    nodes = [kb.resolve(name) for name in methods or ()] or [kb.nodes[id] for id in kb.cards]
    total: Counter[str] = Counter()
    print("method\taxis\tvalue\toutcome\twhy")
    for node in nodes:
        for found in swaps(kb, node, axis or (), updates):
            print(*found, sep="\t", flush=True)
            total[found.outcome] += 1
    print(", ".join(f"{total[outcome]} {outcome}" for outcome in (RUNS, REFUSED, NO_PART)))
