"""Facts about pairs of nodes, the proofs that chain them, and the classes they form.

Equality comes from proofs, which compose along the arrows of `levels`; a numerical agreement does not
compose, so a certified-only link joins two classes only when every pair across them was found equal.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, count
from typing import TYPE_CHECKING, Literal

from flowrl_kb.kb.evaluate import YES, Condition
from flowrl_kb.kb.levels import implied
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.schema import UNKNOWN, Rule

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

Kind = Literal["proved", "certified", "refuted", "undecided", "declared"]


@dataclass(frozen=True)
class Fact:
    """One statement about the pair (a, b): proved by a rule, found by a certificate, or claimed by a card."""

    a: str
    b: str
    kind: Kind
    level: str
    source: str
    slot: str = "actor"
    assumptions: tuple[str, ...] = ()
    about: str = "published"
    limit: str | None = None
    variance_ratio: float | None = None
    worst_residual: float | None = None

    def other(self, end: str) -> str:
        return self.b if end == self.a else self.a


@dataclass(frozen=True)
class Proof:
    """A chain of proved facts (or one certified agreement) with the assumptions of all its links."""

    facts: tuple[Fact, ...] = ()

    @property
    def assumptions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(a for fact in self.facts for a in fact.assumptions))

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(fact.source for fact in self.facts))

    @property
    def kind(self) -> Kind:
        return "certified" if any(fact.kind == "certified" for fact in self.facts) else "proved"


@lru_cache(maxsize=8)
def knowledge(kb: KB) -> Knowledge:
    """Return everything that rules, verdicts and cards say about pairs of this knowledge base."""
    return Knowledge([*proved(kb), *measured(kb), *declared(kb)], tuple(kb.nodes))


class Knowledge:
    """Facts, indexed by pair and by level, with the questions one asks them."""

    def __init__(self, facts: Iterable[Fact], nodes: tuple[str, ...]):
        self.facts, self.nodes = tuple(facts), nodes
        self._pairs: dict[frozenset[str], list[Fact]] = {}
        for fact in self.facts:
            self._pairs.setdefault(frozenset((fact.a, fact.b)), []).append(fact)
        self._links: dict[tuple[Kind, str], dict[str, list[Fact]]] = {}
        self._reached: dict[tuple[str, str], dict[str, Proof]] = {}
        self._classes: dict[str, list[set[str]]] = {}

    def between(self, a: str, b: str) -> list[Fact]:
        """Return the facts stated directly about a pair."""
        return self._pairs.get(frozenset((a, b)), [])

    def proofs(self, start: str, level: str) -> dict[str, Proof]:
        """Return the nodes proved equal to `start` at `level`, each with the proof of fewest assumptions."""
        if (start, level) not in self._reached:
            links = self._linked("proved", level)
            self._reached[start, level] = _cheapest(start, links, chain=level != "limit")
        return self._reached[start, level]

    def equal_to(self, start: str, level: str) -> dict[str, Proof]:
        """Return the members of the class of `start` at `level`, each with its proof or its certificate."""
        found = dict(self.proofs(start, level))
        if level == "limit":
            return found
        members = next(c for c in self.classes(level) if start in c)
        measured = self._linked("certified", level).get(start, ())
        for member in members - found.keys() - {start}:
            found[member] = Proof(tuple(fact for fact in measured if fact.other(start) == member)[:1])
        return found

    def refutation(self, a: str, b: str, level: str) -> Fact | None:
        """Return a measured difference that excludes equality at `level`; differences close upward."""
        weaker = implied(level)
        return next((f for f in self.between(a, b) if f.kind == "refuted" and f.level in weaker), None)

    def classes(self, level: str) -> list[set[str]]:
        """Return the equivalence classes at a level, largest first, singletons included."""
        if level == "limit":
            raise ValueError("a limit is not transitive and has no classes")
        if level not in self._classes:
            self._classes[level] = self._partition(level)
        return self._classes[level]

    def _partition(self, level: str) -> list[set[str]]:
        classes: list[set[str]] = []
        seen: set[str] = set()
        for node in self.nodes:
            if node not in seen:
                classes.append(_reachable(node, self._linked("proved", level)))
                seen |= classes[-1]
        measured = self._linked("certified", level)
        equal = {frozenset((fact.a, fact.b)) for facts in measured.values() for fact in facts}
        merged = bool(equal)
        while merged:
            merged = False
            for one, other in combinations(classes, 2):
                if all(frozenset((a, b)) in equal for a in one for b in other):
                    one |= other
                    classes.remove(other)
                    merged = True
                    break
        return sorted(classes, key=lambda members: (-len(members), min(members)))

    def _linked(self, kind: Kind, level: str) -> dict[str, list[Fact]]:
        """Return for each node the actor facts of one kind that settle a level."""
        if (kind, level) not in self._links:
            links: dict[str, list[Fact]] = {}
            for fact in self.facts:
                if fact.kind == kind and fact.slot == "actor" and level in implied(fact.level):
                    links.setdefault(fact.a, []).append(fact)
                    links.setdefault(fact.b, []).append(fact)
            self._links[kind, level] = links
        return self._links[kind, level]


def proved(kb: KB) -> Iterator[Fact]:
    """Apply every rule to every pair of nodes, found by bucketing on the axes the rule does not free."""
    failed = {identity.id for identity in kb.verdicts.identities if not identity.passed}
    for rule in kb.rules.values():
        if rule.certificate in failed:
            continue  # `check` reports it; a rule whose guard fails proves nothing
        fixed = [axis.id for axis in kb.actor_axes if axis.id not in rule.free]
        left, right = Condition(kb, rule.between.a), Condition(kb, rule.between.b)
        buckets: dict[tuple[str, ...], tuple[list[Node], list[Node]]] = {}
        for node in kb.nodes.values():
            key = tuple(node[axis] for axis in fixed)
            if UNKNOWN in key:
                continue
            bucket = buckets.setdefault(key, ([], []))
            for side, condition in zip(bucket, (left, right), strict=True):
                if condition.of(node) == YES:
                    side.append(node)
        seen: set[frozenset[str]] = set()
        for ones, others in buckets.values():
            for a in ones:
                for b in others:
                    pair = frozenset((a.id, b.id))
                    if a is not b and pair not in seen:
                        seen.add(pair)
                        yield _by_rule(kb, rule, a, b)


def _by_rule(kb: KB, rule: Rule, a: Node, b: Node) -> Fact:
    """State the rule for one pair; differing conditional axes that it does not free become assumptions."""
    cosmetic = tuple(
        f"{axis.name.lower()} does not matter ({a[axis.id]} / {b[axis.id]}): {axis.cosmetic_when}"
        for axis in kb.axes.values()
        if axis.kind == "conditional" and axis.id not in rule.free and a[axis.id] != b[axis.id]
    )
    limit = str(rule.limit) if rule.limit else None
    return Fact(
        a.id, b.id, "proved", rule.level, rule.id, rule.slot, rule.assumptions + cosmetic, rule.about, limit
    )


def measured(kb: KB) -> Iterator[Fact]:
    """Read the pairs of the verdict file."""
    kinds: dict[str, Kind] = {"equal": "certified", "different": "refuted", "undecided": "undecided"}
    for pair in kb.verdicts.pairs:
        if pair.a in kb.nodes and pair.b in kb.nodes:
            core = kb.nodes[pair.a].is_core or kb.nodes[pair.b].is_core
            yield Fact(
                pair.a,
                pair.b,
                kinds[pair.verdict],
                pair.level,
                "certificate",
                pair.slot,
                pair.assumptions,
                "stripped-core" if core else "published",
                None,
                pair.variance_ratio,
                pair.worst_residual,
            )


def declared(kb: KB) -> Iterator[Fact]:
    """Read what cards claim about other catalogued methods."""
    for card in kb.cards.values():
        for claim in card.relations:
            if claim.to in kb.nodes:
                conditions = (claim.condition,) if claim.condition else ()
                yield Fact(
                    card.id, claim.to, "declared", claim.level or claim.kind, claim.kind, "actor", conditions
                )


def _reachable(start: str, links: dict[str, list[Fact]]) -> set[str]:
    found, frontier = {start}, [start]
    while frontier:
        node = frontier.pop()
        new = {fact.other(node) for fact in links.get(node, ())} - found
        found |= new
        frontier += new
    return found


def _cheapest(start: str, links: dict[str, list[Fact]], chain: bool) -> dict[str, Proof]:
    """Search outwards from `start`, preferring few assumptions, then few steps."""
    order = count()
    queue = [(0, 0, next(order), start, Proof())]
    done: dict[str, Proof] = {}
    while queue:
        _, steps, _, node, proof = heapq.heappop(queue)
        if node in done:
            continue
        done[node] = proof
        if steps and not chain:
            continue
        for fact in links.get(node, ()):
            if fact.other(node) not in done:
                longer = replace(proof, facts=(*proof.facts, fact))
                heapq.heappush(
                    queue, (len(longer.assumptions), steps + 1, next(order), fact.other(node), longer)
                )
    done.pop(start)
    return done
