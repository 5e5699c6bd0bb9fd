"""Other people's taxonomies, computed from our coordinates and compared with what they published."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from flowrl_kb.kb.evaluate import Condition
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.schema import UNKNOWN
from flowrl_kb.kb.truth import MAYBE, YES

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

NO_PLACE = "none"


class Placement(NamedTuple):
    """Where a method stands in one function of a projection, by computation and by publication."""

    method: str
    function: str
    computed: str
    published: str | None

    @property
    def agrees(self) -> bool | None:
        """True or False where both are known, else None."""
        if self.published is None or self.computed == UNKNOWN:
            return None
        return self.computed == self.published


@lru_cache(maxsize=256)
def _conditions(kb: KB, projection: str, function: str) -> tuple[tuple[str, Condition], ...]:
    return tuple((c.value, Condition(kb, c.if_)) for c in kb.projections[projection].functions[function])


def place(kb: KB, projection: str, function: str, node: Node) -> str:
    """Return the first value whose condition holds; `unknown` when an earlier one might, else `none`."""
    for value, condition in _conditions(kb, projection, function):
        truth = condition.of(node)
        if truth == YES:
            return value
        if truth == MAYBE:
            return UNKNOWN
    return NO_PLACE


def placements(kb: KB, projection: str) -> list[Placement]:
    """Return the placement of every catalogued method in every function of a projection."""
    chart = kb.projections[projection]
    published = {row["method"]: row for row in chart.published}
    return [
        Placement(
            card,
            function,
            place(kb, projection, function, kb.nodes[card]),
            published.get(card, {}).get(function),
        )
        for card in kb.cards
        for function in chart.functions
    ]


AGAINST = ("same-target-field", "same-update-at-old")
"""Levels at which actors of one published cell are compared: first their optimum, then their update."""


class Compared(NamedTuple):
    """Two methods of one published cell: `same`, `apart` or `open` at a level, and the rule or witness behind it."""

    a: str
    b: str
    state: str
    level: str
    source: str


Shared = tuple[tuple[str, ...], tuple[str, ...], list[Compared]]
"""Values of a published cell, its methods, and how their actors compare."""


def shared(kb: KB, projection: str) -> list[Shared]:
    """What each published cell with several catalogued methods holds."""
    members: dict[tuple[str, ...], list[str]] = {}
    for row in kb.projections[projection].published:
        if row["method"] in kb.cards:
            cell = tuple(value for key, value in row.items() if key not in ("method", "where"))
            members.setdefault(cell, []).append(row["method"])
    return [
        (cell, tuple(ids), [_compared(kb, a, b) for a, b in combinations(ids, 2)])
        for cell, ids in members.items()
        if len(ids) > 1
    ]


def _compared(kb: KB, a: str, b: str) -> Compared:
    known = knowledge(kb)
    if proof := known.proofs(a, AGAINST[0]).get(b):
        return Compared(a, b, "same", AGAINST[0], ", ".join(proof.sources))
    for level in AGAINST:
        if proof := known.refutation(a, b, level):
            return Compared(a, b, "apart", level, proof.refuting.source)
    return Compared(a, b, "open", AGAINST[0], "")
