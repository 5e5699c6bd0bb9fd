"""Levels of agreement between two updates, and what follows from what (`taxonomy/arrows.yaml`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowrl_kb.kb.statements import Arrow

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

LEVELS = (
    "same-loss",
    "same-update",
    "same-update-at-old",
    "same-target-field",
    "limit",
    "same-executed-law",
)
CLASSED = tuple(level for level in LEVELS if level != "limit")
"""Levels at which sameness is an equivalence; a limit is not transitive."""

MEANING = {
    "same-loss": "the losses are the same function of the same random draws",
    "same-update": "the expected gradient fields agree at every policy",
    "same-update-at-old": "the expected gradient fields agree where the policy equals the previous one",
    "same-target-field": "the losses have the same minimiser, up to a positive weight",
    "limit": "the updates agree in the limit of a parameter",
    "same-executed-law": "the executed actions have the same law",
}

UNGRADED = frozenset({"acting"})
"""Slots without a gradient: what is said of them at one level holds at all of them, limits excepted."""


class Arrows:
    """The implications between levels, for the slots and pairs to which they apply."""

    def __init__(self, arrows: Iterable[Arrow], holds: dict[str, frozenset[str]]):
        """`holds` maps the id of each conditional arrow to the nodes that satisfy its condition."""
        self.rows = tuple(arrow for arrow in arrows if not arrow.together_with)
        self.joint = tuple(arrow for arrow in arrows if arrow.together_with)
        self._holds = holds
        self._of: dict[str, list[Arrow]] = {}
        for arrow in self.rows:
            for slot in arrow.slots:
                self._of.setdefault(slot, []).append(arrow)
        self._closed: dict[tuple[str, str, tuple[str, ...]], frozenset[str]] = {}

    def implied(self, level: str, slot: str, a: str, b: str) -> frozenset[str]:
        """Return the level and all levels that follow from it for this pair in this slot."""
        if slot in UNGRADED:
            return frozenset(CLASSED) if level != "limit" else frozenset({level})
        used = tuple(x.id for x in self._of.get(slot, ()) if self._applies(x, a, b))
        if (level, slot, used) not in self._closed:
            found, frontier = {level}, [level]
            while frontier:
                at = frontier.pop()
                new = {x.to for x in self.rows if x.id in used and x.from_ == at} - found
                found |= new
                frontier += new
            self._closed[level, slot, used] = frozenset(found)
        return self._closed[level, slot, used]

    def _applies(self, arrow: Arrow, a: str, b: str) -> bool:
        nodes = self._holds.get(arrow.id)
        return nodes is None or (a in nodes and b in nodes)


def arrows(kb: KB) -> Arrows:
    """Return the arrows of a knowledge base, their conditions answered for every node."""
    from flowrl_kb.kb.evaluate import condition
    from flowrl_kb.kb.truth import YES

    holds = {}
    for arrow in kb.arrows.values():
        if arrow.if_:
            both = condition(kb, arrow.if_)
            holds[arrow.id] = frozenset(n.id for n in kb.nodes.values() if both.of(n) == YES)
    return Arrows(kb.arrows.values(), holds)
