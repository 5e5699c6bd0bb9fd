"""Cells: points of the actor's mechanism axes, filled or empty, possible or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from flowrl_kb.errors import UserError, unknown
from flowrl_kb.kb.evaluate import Condition, condition
from flowrl_kb.kb.nodes import Node, allowed, distance
from flowrl_kb.kb.schema import UNKNOWN, Constraint
from flowrl_kb.kb.truth import NO, YES

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

BUDGET = 20_000


class Compiled(NamedTuple):
    constraint: Constraint
    if_: Condition
    then: Condition
    axes: frozenset[str]

    def broken(self, coordinates: Mapping[str, str]) -> bool:
        return self.if_.at(coordinates) == YES and self.then.at(coordinates) == NO


@lru_cache(maxsize=8)
def constraints(kb: KB) -> tuple[Compiled, ...]:
    made = ((c, condition(kb, c.if_), condition(kb, c.then)) for c in kb.constraints.values())
    return tuple(Compiled(c, if_, then, frozenset((*if_.axes, *then.axes))) for c, if_, then in made)


def parse(kb: KB, text: str) -> dict[str, str]:
    """Read `axis=value,axis=value`, or raise `UserError` naming the wrong part and its nearest valid name."""
    cell: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        axis, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise UserError(f"found {part!r}, expected axis=value,axis=value,...")
        if axis not in kb.axes:
            raise unknown("axis", axis, kb.axes)
        if value not in allowed(kb.axes[axis]):
            raise unknown(f"value of {axis}", value, allowed(kb.axes[axis]))
        if cell.setdefault(axis, value) != value:
            raise UserError(f"{axis} is given twice: {cell[axis]} and {value}")
    return cell


def violations(kb: KB, cell: Mapping[str, str]) -> list[Constraint]:
    """Return the constraints that the decided coordinates of a cell break."""
    return [c.constraint for c in constraints(kb) if c.broken(cell)]


def members(kb: KB, cell: Mapping[str, str]) -> tuple[list[Node], list[Node]]:
    """Return the nodes that are in a (possibly partial) cell, and those that may be."""
    surely, maybe = [], []
    for node in kb.nodes.values():
        if all(node[axis] in (value, UNKNOWN) for axis, value in cell.items()):
            (maybe if node.unknown(cell) else surely).append(node)
    return surely, maybe


def same_cell(kb: KB, node: Node) -> list[Node]:
    """Return the other nodes with the same, fully decided actor mechanism coordinates."""
    axes = [axis.id for axis in kb.actor_axes]
    if node.unknown(axes):
        return []
    surely, _ = members(kb, {axis: node[axis] for axis in axes})
    return [other for other in surely if other is not node]


def neighbours(kb: KB, cell: Mapping[str, str]) -> Iterator[tuple[str, str, list[Node]]]:
    """Yield each allowed change of one coordinate (axis, new value) with the nodes that fill it."""
    whole = possible(kb, None, cell)
    for axis in cell:
        touching = [c for c in constraints(kb) if axis in c.axes]
        for value in kb.axes[axis].values:
            changed = {**cell, axis: value.id}
            if value.id == cell[axis]:
                continue
            # Mostly the rest of one completion still fits, and no other need be searched.
            fits = isinstance(whole, dict) and not any(c.broken({**whole, axis: value.id}) for c in touching)
            if fits or possible(kb, None, changed) is not None:
                yield axis, value.id, members(kb, changed)[0]


def nearest(kb: KB, cell: Mapping[str, str], limit: int = 3) -> list[tuple[int, Node]]:
    """Return the methods with the fewest differing coordinates among those that the cell decides."""
    axes = [kb.axes[axis] for axis in cell]
    ghost = Node("", next(iter(kb.cards.values())), None, cell) if kb.cards else None
    found = [(distance(ghost, node, axes)[1], node) for node in kb.nodes.values() if not node.variant] if ghost else []
    return sorted(found, key=lambda pair: (pair[0], pair[1].id))[:limit]


def possible(
    kb: KB, condition: Condition | None, given: Mapping[str, str] | None = None, without: Iterable[str] = ()
) -> dict[str, str] | None | bool:
    """Search for coordinates that satisfy a condition and all constraints (except those left out).

    Returns such coordinates, None when there are none, and False when the search budget ran out.
    """
    skipped = set(without)
    rules = [c for c in constraints(kb) if c.constraint.id not in skipped]
    wanted = [axis for axis in (condition.axes if condition else ()) if axis not in (given or {})]
    involved = {axis for rule in rules for axis in rule.axes}
    order = wanted + [axis for axis in kb.axes if axis in involved and axis not in wanted and axis not in (given or {})]
    touching = {axis: [rule for rule in rules if axis in rule.axes] for axis in order}
    spent = 0

    def fill(depth: int, chosen: dict[str, str]) -> dict[str, str] | None | bool:
        nonlocal spent
        if depth == len(order):
            return dict(chosen)
        axis = order[depth]
        for value in kb.axes[axis].values:
            spent += 1
            if spent > BUDGET:
                return False
            chosen[axis] = value.id
            if (condition is None or condition.at(chosen) != NO) and not any(r.broken(chosen) for r in touching[axis]):
                found = fill(depth + 1, chosen)
                if found is not None:
                    return found
            del chosen[axis]
        return None

    start = dict(given or {})
    if any(rule.broken(start) for rule in rules) or (condition is not None and condition.at(start) == NO):
        return None
    return fill(0, start)


def culprits(kb: KB, condition: Condition) -> list[Constraint]:
    """Return a minimal set of constraints that excludes a condition; empty if the condition is possible."""
    if possible(kb, condition) is not None:
        return []
    kept = [c.constraint for c in constraints(kb) if c.axes]
    needed: list[Constraint] = []
    # Deletion: a constraint stays only if the condition becomes possible without it.
    active = {c.id for c in kept}
    for constraint in kept:
        rest = active - {constraint.id}
        if possible(kb, condition, without=[c.id for c in kept if c.id not in rest]) is None:
            active = rest
        else:
            needed.append(constraint)
    return needed


def relaxations(kb: KB, condition: Condition, node: Node) -> int | None:
    """Return how many coordinates named in a condition a node must change before it may satisfy it."""
    for size in range(len(condition.axes) + 1):
        for freed in combinations(condition.axes, size):
            trial = {axis: node[axis] for axis in condition.axes if axis not in freed}
            if condition.at(trial) != NO:
                return size
    return None
