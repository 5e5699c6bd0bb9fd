"""What is known about pairs: classes, cheapest proofs and refutations, for each level and slot.

Equality comes from proofs, which compose along the arrows of `levels`; a numerical agreement does not
compose, so a certified-only link joins two classes only when every pair across them was found equal.
A difference spreads over proved equalities: what equals A differs from whatever A differs from.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING

from flowrl_kb.kb.facts import (
    Fact,
    Kind,
    Proof,
    Separated,
    about,
    declared,
    measured,
    proved,
    weakest,
    witnessed,
)
from flowrl_kb.kb.levels import CLASSED, Arrows, arrows

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

__all__ = ["Fact", "Knowledge", "Proof", "knowledge"]
LABELS = 8
"""Incomparable sets of assumptions kept for each node while searching the proof with the fewest."""


def knowledge(kb: KB) -> Knowledge:
    """Return everything that rules, witnesses, verdicts and cards say about pairs of this knowledge base."""
    return kb.derived("knowledge", _derive)


def _derive(kb: KB) -> Knowledge:
    facts = [*proved(kb), *measured(kb), *declared(kb)]
    kinds = {id: about(kb, id) for id in kb.nodes}
    return Knowledge(facts, tuple(kb.nodes), arrows(kb), tuple(witnessed(kb)), kinds)


class Knowledge:
    """Facts, indexed by pair, slot and level, with the questions one asks them."""

    def __init__(
        self,
        facts: Iterable[Fact],
        nodes: tuple[str, ...],
        arrows: Arrows,
        separated: tuple[Separated, ...] = (),
        about: dict[str, str] | None = None,
    ):
        self.facts, self.nodes, self.arrows, self.separated = tuple(facts), nodes, arrows, separated
        self._about = about or {}
        self._stated: dict[tuple[str, str], list[Fact]] = {}
        self._pairs: dict[frozenset[str], list[Fact]] = {}
        self._of: dict[tuple[Kind, str], list[Fact]] = {}
        for fact in self.facts:
            self._pairs.setdefault(frozenset((fact.a, fact.b)), []).append(fact)
            self._of.setdefault((fact.kind, fact.slot), []).append(fact)
        self._links: dict[tuple[Kind, str, str], dict[str, list[Fact]]] = {}
        self._reached: dict[tuple[str, str, str], dict[str, Proof]] = {}
        self._classes: dict[tuple[str, str], list[set[str]]] = {}
        self._homes: dict[tuple[str, str], dict[str, set[str]]] = {}
        self._proved: dict[tuple[str, str], dict[str, set[str]]] = {}

    def implied(self, fact: Fact) -> frozenset[str]:
        """Return the levels that a fact settles for its pair: its own and what the arrows lead to."""
        return self.arrows.implied(fact.level, fact.slot, fact.a, fact.b)

    def excludes(self, fact: Fact, level: str) -> bool:
        """Whether a difference rules out agreement at a level: differences close upward."""
        return fact.level in self.arrows.implied(level, fact.slot, fact.a, fact.b)

    def of(self, kind: Kind, slot: str) -> list[Fact]:
        return self._of.get((kind, slot), [])

    def between(self, a: str, b: str, slot: str | None = None) -> list[Fact]:
        """Return the facts stated directly about a pair, witnesses included."""
        if (a, b) not in self._stated:
            self._stated[a, b] = [*self._pairs.get(frozenset((a, b)), ()), *self._witnesses(a, b)]
        return [fact for fact in self._stated[a, b] if slot in (None, fact.slot)]

    def _witnesses(self, a: str, b: str) -> Iterator[Fact]:
        for s in self.separated:
            if s.covers(a, b):
                kind = weakest(self._about.get(end, "published") for end in (a, b))
                yield Fact(
                    a, b, "refuted", s.level, s.witness, s.slot, about=kind, figure=s.figure, at_least=s.at_least
                )

    def related(self, node: str) -> set[str]:
        """Return the nodes about which something is stated or proved together with this one."""
        found = {fact.other(node) for fact in self.facts if node in (fact.a, fact.b)}
        # A witness names cells, so that it also covers most variants; the methods stand for them.
        methods = [other for other in self.nodes if ":" not in other]
        found |= {other for other in methods if any(s.covers(node, other) for s in self.separated)}
        for kind, slot in self._of:
            if kind == "proved":
                for level in CLASSED:
                    found |= self.proved_class(node, level, slot)
        return found - {node}

    # ---------------------------------------------------------------- equality

    def proofs(self, start: str, level: str, slot: str = "actor") -> dict[str, Proof]:
        """Return the nodes proved equal to `start`, each with the proof of fewest assumptions, then steps."""
        key = (start, level, slot)
        if key not in self._reached:
            self._reached[key] = _cheapest(start, self.links("proved", level, slot), chain=level != "limit")
        return self._reached[key]

    def proved_within(self, a: str, b: str, level: str, slot: str, assumptions: Iterable[str]) -> Proof | None:
        """Return a proof that uses no other assumptions than these."""
        allowed = set(assumptions)
        links = {
            node: [f for f in facts if allowed.issuperset(f.assumptions)]
            for node, facts in self.links("proved", level, slot).items()
        }
        return _cheapest(a, links, chain=level != "limit").get(b)

    def equal_to(self, start: str, level: str, slot: str = "actor") -> dict[str, Proof]:
        """Return the members of the class of `start`, each with its proof or its certificate."""
        found = dict(self.proofs(start, level, slot))
        certified = self.links("certified", level, slot).get(start, ())
        if level == "limit":
            return {f.other(start): Proof((f,)) for f in certified} | found
        for member in self.home(start, level, slot) - found.keys() - {start}:
            found[member] = Proof(tuple(fact for fact in certified if fact.other(start) == member)[:1])
        return found

    def proved_class(self, node: str, level: str, slot: str) -> set[str]:
        """Return the nodes proved equal to a node, itself included."""
        classes = self._proved.setdefault((level, slot), {})
        if node not in classes:
            found = _reachable(node, self.links("proved", level, slot)) if level != "limit" else {node}
            classes |= dict.fromkeys(found, found)
        return classes[node]

    def classes(self, level: str, slot: str = "actor") -> list[set[str]]:
        """Return the equivalence classes at a level, largest first, singletons included."""
        if level == "limit":
            raise ValueError("a limit is not transitive and has no classes")
        if (level, slot) not in self._classes:
            distinct = {id(c): c for c in (self.proved_class(n, level, slot) for n in self.nodes)}
            measured = self.links("certified", level, slot)
            equal = {frozenset((f.a, f.b)) for facts in measured.values() for f in facts}
            joined = _joined([set(c) for c in distinct.values()], equal)
            self._classes[level, slot] = sorted(joined, key=lambda c: (-len(c), min(c)))
        return self._classes[level, slot]

    def home(self, node: str, level: str, slot: str = "actor") -> set[str]:
        """Return the class of a node."""
        if (level, slot) not in self._homes:
            self._homes[level, slot] = {n: members for members in self.classes(level, slot) for n in members}
        return self._homes[level, slot][node]

    def links(self, kind: Kind, level: str, slot: str) -> dict[str, list[Fact]]:
        """Return for each node the facts of one kind that settle a level in a slot."""
        if (kind, level, slot) not in self._links:
            links: dict[str, list[Fact]] = {}
            for fact in self.of(kind, slot):
                if level in self.implied(fact):
                    links.setdefault(fact.a, []).append(fact)
                    links.setdefault(fact.b, []).append(fact)
            self._links[kind, level, slot] = links
        return self._links[kind, level, slot]

    # ---------------------------------------------------------------- difference

    def refutation(self, a: str, b: str, level: str, slot: str = "actor") -> Proof | None:
        """Return why a pair cannot agree at a level: a difference found between the two, or between equals of them.

        It is passed on only through proofs whose assumptions the comparison kept: where one was broken, the equality
        need not hold in the problem that showed the difference.
        """
        ones, others = self.proved_class(a, level, slot), self.proved_class(b, level, slot)
        direct = self._differences(a, b, level, slot)
        if direct or len(ones) == len(others) == 1:
            return Proof((direct[0],)) if direct else None
        found = []
        for x in sorted(ones):
            for y in sorted(others):
                for fact in self._differences(x, y, level, slot):
                    before = Proof() if x == a else self.proved_within(a, x, level, slot, fact.assumptions)
                    after = Proof() if y == b else self.proved_within(y, b, level, slot, fact.assumptions)
                    if before is not None and after is not None:
                        found.append(Proof((*before.facts, fact, *after.facts)))
        return min(found, key=lambda p: (len(p.assumptions), len(p.facts)), default=None)

    def _differences(self, a: str, b: str, level: str, slot: str) -> list[Fact]:
        """Return the differences stated about a pair that exclude a level, those at the weakest level first."""
        found = [f for f in self.between(a, b, slot) if f.kind == "refuted" and self.excludes(f, level)]
        return sorted(found, key=lambda f: sum(self.excludes(other, f.level) for other in found))


def _joined(classes: list[set[str]], equal: set[frozenset[str]]) -> list[set[str]]:
    """Merge classes of which every pair across was measured equal, until none is left."""
    home = {node: members for members in classes for node in members}
    waiting = sorted(tuple(sorted(pair)) for pair in equal)
    merged = True
    while merged:
        merged = False
        for a, b in waiting:
            one, other = home[a], home[b]
            if one is not other and all(frozenset((x, y)) in equal for x in one for y in other):
                one |= other
                home |= dict.fromkeys(other, one)
                merged = True
    return list({id(members): members for members in home.values()}.values())


def _reachable(start: str, links: dict[str, list[Fact]]) -> set[str]:
    found, frontier = {start}, [start]
    while frontier:
        node = frontier.pop()
        new = {fact.other(node) for fact in links.get(node, ())} - found
        found |= new
        frontier += new
    return found


def _cheapest(start: str, links: dict[str, list[Fact]], chain: bool) -> dict[str, Proof]:
    """Search outwards from `start`; a node is left by each set of assumptions that no smaller one contains."""
    order = count()
    queue: list[tuple[int, int, int, str, tuple[Fact, ...], frozenset[str]]] = [
        (0, 0, next(order), start, (), frozenset())
    ]
    done: dict[str, Proof] = {}
    labels: dict[str, list[frozenset[str]]] = {}
    while queue:
        _, steps, _, node, facts, assumed = heapq.heappop(queue)
        kept = labels.setdefault(node, [])
        if len(kept) >= LABELS or any(label <= assumed for label in kept):
            continue
        kept.append(assumed)
        done.setdefault(node, Proof(facts))
        if steps and not chain:
            continue
        for fact in links.get(node, ()):
            end, union = fact.other(node), assumed.union(fact.assumptions)
            if not any(label <= union for label in labels.get(end, ())):
                heapq.heappush(queue, (len(union), steps + 1, next(order), end, (*facts, fact), union))
    done.pop(start)
    return done
