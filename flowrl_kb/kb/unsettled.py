"""Open pairs, ranked by how many other open statements would be decided if the pair were proved equal."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from flowrl_kb.kb.levels import UNGRADED
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.relations import Knowledge, knowledge
from flowrl_kb.kb.schema import SLOTS, UNKNOWN
from flowrl_kb.kb.whole import trained

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

ASKED = ("same-update", "same-update-at-old", "same-target-field")
"""Levels at which pairs are compared; the same loss is only ever proved."""


class Open(NamedTuple):
    """A pair that nothing decides in a slot, at the level at which equality would settle most."""

    a: str
    b: str
    slot: str
    level: str
    settles: int


def comparable(a: Node, b: Node, slot: str = "actor") -> bool:
    """Whether two updates share coordinates: actors of one kind of policy do, critics of one kind of output."""
    axis = {"actor": "policy", "critic": "critic-output"}.get(slot)
    return axis is None or UNKNOWN in (a[axis], b[axis]) or a[axis] == b[axis]


def compared_nodes(kb: KB) -> list[Node]:
    """Return every method and every stripped core; code variants are compared with their own method only.

    Cards at the boundary have no losses of their own to compare.
    """
    return [node for node in kb.nodes.values() if not node.card.scope and (node.variant is None or node.is_core)]


def open_pairs(kb: KB) -> list[Open]:
    """Return the open pairs of every slot that has facts, what settles most first, one for each pair of classes."""
    return kb.derived("open pairs", _search)


def _search(kb: KB) -> list[Open]:
    known, found = knowledge(kb), []
    nodes = compared_nodes(kb)
    seen = {f.slot for f in known.facts} | {s.slot for s in known.separated} | {"actor"}
    for slot in (s for s in SLOTS if s in seen):
        here = [node for node in nodes if slot in trained(kb, node)]
        tables = [Table(known, here, level, slot) for level in (ASKED[:1] if slot in UNGRADED else ASKED)]
        best: dict[tuple[int, ...], Open] = {}
        for a, b in combinations(here, 2):
            for table in tables:
                if not comparable(a, b, slot) or not table.is_open(a.id, b.id):
                    continue
                implied = known.arrows.implied(table.level, slot, a.id, b.id)
                settles = sum(t.gain(a.id, b.id) for t in tables if t.level in implied) - 1
                one = Open(a.id, b.id, slot, table.level, settles)
                key = tuple(sorted({tables[0].home[a.id], tables[0].home[b.id]}))
                if key not in best or best[key].settles < settles:
                    best[key] = one
        found += best.values()
    return sorted(found, key=lambda o: (-o.settles, SLOTS.index(o.slot), o.a, o.b))


class Table:
    """Which pairs of proved classes are equal, different or open at one level, as one bit mask for each class."""

    def __init__(self, known: Knowledge, nodes: list[Node], level: str, slot: str):
        self.known, self.level, self.slot, self.home, self.sizes = known, level, slot, {}, []
        ids = [node.id for node in nodes]
        for id in ids:
            if id not in self.home:
                members = [x for x in ids if x in known.proved_class(id, level, slot)]
                self.home |= dict.fromkeys(members, len(self.sizes))
                self.sizes.append(len(members))
        self.different, self.equal, self.never = ([0] * len(self.sizes) for _ in range(3))
        for fact in known.of("refuted", slot):
            if known.excludes(fact, level):
                self._mark(known, self.different, fact.a, fact.b, level, slot)
        for s in known.separated:
            for a in s.left if s.slot == slot else ():
                for b in s.right:
                    if s.level in known.arrows.implied(level, slot, a, b):
                        self._mark(known, self.different, a, b, level, slot)
        for fact in known.of("certified", slot):
            if level in known.implied(fact):
                self._mark(known, self.equal, fact.a, fact.b, level, slot)
        for a, b in combinations(nodes, 2):
            if not comparable(a, b, slot):
                self._bit(self.never, self.home[a.id], self.home[b.id])

    def _mark(self, known: Knowledge, masks: list[int], a: str, b: str, level: str, slot: str) -> None:
        """Mark the classes of two nodes; either node may be outside the table and stand for its class."""
        ends = []
        for node in (a, b):
            inside = next((x for x in known.proved_class(node, level, slot) if x in self.home), None)
            if inside is None:
                return
            ends.append(self.home[inside])
        self._bit(masks, *ends)

    @staticmethod
    def _bit(masks: list[int], i: int, j: int) -> None:
        masks[i] |= 1 << j
        masks[j] |= 1 << i

    def _decided(self, i: int) -> int:
        return self.different[i] | self.equal[i] | self.never[i] | 1 << i

    def is_open(self, a: str, b: str) -> bool:
        """Whether the pair itself is neither in one class nor known to differ."""
        known = self.known
        if self.home[a] == self.home[b] or known.home(a, self.level, self.slot) is known.home(b, self.level, self.slot):
            return False
        return known.refutation(a, b, self.level, self.slot) is None

    def gain(self, a: str, b: str) -> int:
        """Count the open pairs of nodes, this one included, that equality of these two would decide here."""
        if not self.is_open(a, b):
            return 0
        i, j = self.home[a], self.home[b]
        count = self.sizes[i] * self.sizes[j]
        for known, other in ((i, j), (j, i)):
            # what differs from one class would differ from the other
            news = self.different[known] & ~self._decided(other)
            count += self.sizes[other] * self._weight(news)
        return count

    def _weight(self, mask: int) -> int:
        total = 0
        while mask:
            lowest = mask & -mask
            total += self.sizes[lowest.bit_length() - 1]
            mask ^= lowest
        return total
