"""Swaps: one component of a method exchanged at a time, wherever the constraints allow it.

Components are the values of all axes (route, operator, path, prediction, sampler, critic, ...). A swap is traced: a
chunk of updates on a bandit and the acting are written as programs, which shows whether the parts fit and whether
anything reads the component, and nothing is compiled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from flowrl_kb.errors import UserError, unknown
from flowrl_kb.kb import cells, code
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.side_by_side import JOBS, results

if TYPE_CHECKING:
    from flowrl_kb.train.drive import Run

RUNS, UNREAD, REFUSED, NO_PART = "runs", "unread", "refused", "no part"
EMPTY = "empty cell"


class Swap(NamedTuple):
    """One exchanged value and its outcome.

    RUNS: as another program; UNREAD: as the same program, because no update or acting reads the component; REFUSED: by
    the constraint in `why`; NO_PART: for the reason in `why`. Where it runs, `why` names the methods and variants that
    fill the new cell, or says that none does.
    """

    method: str
    axis: str
    value: str
    outcome: str
    why: str = ""


def swaps(kb: KB, node: Node, axes: Iterable[str] = (), updates: int = 0) -> Iterator[Swap]:
    """Every swap of a method on the axes named, or on all of them; with `updates` each cell that fits makes so many."""
    own = _programs(_run(kb, node, node.coordinates))
    for axis in [kb.axes[name] for name in axes] or kb.axes.values():
        for value in axis.values:
            if value.id == node[axis.id]:
                continue
            cell = {**node.coordinates, axis.id: value.id}
            if broken := cells.violations(kb, cell):
                yield Swap(node.id, axis.id, value.id, REFUSED, f"{broken[0].id}: {broken[0].because}")
                continue
            try:
                run = _run(kb, node, cell)
                outcome = UNREAD if _programs(run) == own else RUNS
                if updates:
                    run.advance(updates)
            except UserError as error:
                yield Swap(node.id, axis.id, value.id, NO_PART, error.lines[0])
            else:
                yield Swap(node.id, axis.id, value.id, outcome, _filled(kb, cell))


def _filled(kb: KB, cell: Mapping[str, str]) -> str:
    """The nodes at a point of all mechanism axes, in words."""
    there, _ = cells.members(kb, {axis.id: cell[axis.id] for axis in kb.mechanism})
    return ", ".join(sorted(node.id for node in there)) or EMPTY


def _run(kb: KB, node: Node, cell: Mapping[str, str]) -> Run:
    """A run of a cell on a bandit with the settings of a method."""
    from flowrl_kb.tasks import bandits
    from flowrl_kb.train import build, choose, runs

    choice = choose.method(kb, node.id, composed=True)._replace(name="swap", coordinates=dict(cell))
    task = bandits.get("8gaussians")
    return runs.make(build.agent(choice, build.settled(kb, choice, task, 40), task), task, seeds=1, seed=0)


def _programs(run: Run) -> tuple[str, ...]:
    """Updates and acting as texts.

    Errors: UserError where the parts of the cell do not fit together.
    """
    from flowrl_kb.train import runs

    return tuple(program.as_text() for program in runs.probe(run, "swap"))


def _all(id: str, axes: tuple[str, ...], updates: int) -> list[Swap]:
    """All swaps of one method, in this process or in another."""
    from flowrl_kb.kb.load import load

    kb = load()
    return list(swaps(kb, kb.nodes[id], axes, updates))


def swap(
    methods: Annotated[list[str] | None, typer.Argument(help="Ids; all when none is given.")] = None,
    axis: Annotated[list[str] | None, typer.Option(help="Only these axes.")] = None,
    updates: Annotated[int, typer.Option(help="Also make so many updates of each cell that fits.", min=0)] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = JOBS,
) -> None:
    """Exchange one component of a method at a time: what runs, what no program reads, what is refused and why."""
    from flowrl_kb.kb.load import load

    kb = load()
    for name in axis or ():
        if name not in kb.axes:
            raise unknown("axis", name, kb.axes)
    nodes = code.executable(kb, methods or ())
    total: Counter[str] = Counter()
    print("method\taxis\tvalue\toutcome\twhy")
    for _, rows in results([(_all, (node.id, tuple(axis or ()), updates)) for node in nodes], jobs):
        for found in rows:
            print(*found, sep="\t", flush=True)
            total[found.outcome] += 1
            total[EMPTY] += found.outcome == RUNS and found.why == EMPTY
    counts = ", ".join(f"{total[outcome]} {outcome}" for outcome in (RUNS, UNREAD, REFUSED, NO_PART))
    print(f"{counts}; of those that run {total[EMPTY]} fill a cell that no card has")
