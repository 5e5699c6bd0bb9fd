"""Nodes: every method and every variant of one, as points of the coordinate system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from flowrl_kb.kb.schema import NOT_APPLICABLE, UNKNOWN, Axis, Card, Variant


@dataclass(frozen=True, eq=False)
class Node:
    """A method (`dql`) or one of its variants (`dql:core`) with a value on every axis."""

    id: str
    card: Card
    variant: Variant | None
    coordinates: Mapping[str, str]

    def __getitem__(self, axis: str) -> str:
        return self.coordinates.get(axis, UNKNOWN)

    @property
    def is_core(self) -> bool:
        return self.variant is not None and self.variant.kind == "stripped-core"

    def unknown(self, axes: Iterable[str]) -> list[str]:
        """Return those of the given axes on which this node has no decided value."""
        return [axis for axis in axes if self[axis] == UNKNOWN]


class Difference(NamedTuple):
    """One axis on which two nodes do not agree; `unknown` on either side means undecided."""

    axis: Axis
    a: str
    b: str

    @property
    def decided(self) -> bool:
        return UNKNOWN not in (self.a, self.b)


def of_card(card: Card, axes: Mapping[str, Axis]) -> list[Node]:
    """Return the node of a card followed by the nodes of its variants."""
    named = {axis: found.value for axis, found in card.coordinates.items()}
    base = {id: named.get(id, axis.absent or UNKNOWN) for id, axis in axes.items()}
    found = [Node(card.id, card, None, base)]
    for variant in card.variants:
        found.append(Node(f"{card.id}:{variant.id}", card, variant, base | variant.coordinates))
    return found


def differences(a: Node, b: Node, axes: Iterable[Axis]) -> list[Difference]:
    """Return the axes on which two nodes disagree or either is undecided, in the order of the axes."""
    return [
        Difference(axis, a[axis.id], b[axis.id])
        for axis in axes
        if a[axis.id] != b[axis.id] or UNKNOWN in (a[axis.id], b[axis.id])
    ]


def distance(a: Node, b: Node, axes: Iterable[Axis]) -> tuple[int, int]:
    """Return how many of the axes differ for certain, and how many differ at most."""
    found = differences(a, b, axes)
    return sum(d.decided for d in found), len(found)


def allowed(axis: Axis) -> list[str]:
    """Return every value that a coordinate on this axis may take."""
    return [*(v.id for v in axis.values), UNKNOWN, NOT_APPLICABLE]
