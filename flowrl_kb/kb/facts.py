"""Statements about pairs of nodes, from rules, verdicts and cards, and the proofs that chain them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from flowrl_kb.kb.evaluate import condition
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.schema import UNKNOWN
from flowrl_kb.kb.statements import Rule
from flowrl_kb.kb.truth import YES

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

Kind = Literal["proved", "certified", "refuted", "undecided", "declared"]
CERTIFICATE = "certificate"
_WEAKNESS = {"published": 0, "as-coded": 1, "stripped-core": 2}


@dataclass(frozen=True)
class Fact:
    """One statement about the pair (a, b) in a slot; `source` is a rule, a witness, a claim or `certificate`."""

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
    upper_bound: float | None = None
    margin: float | None = None
    where: str | None = None
    points: tuple[tuple[str, float], ...] = ()
    figure: float | None = None
    at_least: float | None = None

    def other(self, end: str) -> str:
        return self.b if end == self.a else self.a

    @property
    def is_witness(self) -> bool:
        return self.kind == "refuted" and self.source != CERTIFICATE


@dataclass(frozen=True)
class Proof:
    """A chain of facts with the assumptions of all its links; a difference has one refuted link."""

    facts: tuple[Fact, ...] = ()

    @property
    def assumptions(self) -> tuple[str, ...]:
        """The union over the links; what a refuting comparison kept is no assumption of the difference."""
        return tuple(dict.fromkeys(a for f in self.facts if f.kind != "refuted" for a in f.assumptions))

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(fact.source for fact in self.facts))

    @property
    def kind(self) -> Kind:
        kinds = {fact.kind for fact in self.facts}
        return next((k for k in ("refuted", "certified") if k in kinds), "proved")  # type: ignore[return-value]

    @property
    def about(self) -> str:
        """The weakest of what the links are about."""
        return weakest(fact.about for fact in self.facts)

    @property
    def refuting(self) -> Fact:
        """The link that states a difference."""
        return next(fact for fact in self.facts if fact.kind == "refuted")


class Separated(NamedTuple):
    """One entry of a witness: every pair with one end on each side differs. Facts are made when asked for."""

    witness: str
    level: str
    slot: str
    left: frozenset[str]
    right: frozenset[str]
    figure: float | None
    at_least: float

    def covers(self, a: str, b: str) -> bool:
        return a != b and ((a in self.left and b in self.right) or (b in self.left and a in self.right))


def about(kb: KB, *ids: str) -> str:
    """Return what a statement about these nodes is about: published, as-coded or stripped-core."""
    return weakest(_about(kb.nodes[id]) for id in ids)


def weakest(kinds: Iterable[str]) -> str:
    """Return the one that says least about the published methods."""
    return max(kinds, key=_WEAKNESS.__getitem__, default="published")


def _about(node: Node) -> str:
    if node.is_core:
        return "stripped-core"
    return "as-coded" if node.variant and node.variant.kind.endswith("-code") else "published"


def standing(kb: KB) -> list[Rule]:
    """Return the rules that prove something: one whose guard fails, which `check` reports, proves nothing."""
    failed = {identity.id for identity in kb.verdicts.identities if not identity.passed}
    return [rule for rule in kb.rules.values() if rule.certificate not in failed]


def proved(kb: KB) -> Iterator[Fact]:
    """Apply every rule to every pair of nodes, found by bucketing on the axes the rule does not free."""
    for rule in standing(kb):
        fixed = [axis for axis in kb.axes_of(rule.slot) if axis not in rule.free]
        left, right = condition(kb, rule.between.a), condition(kb, rule.between.b)
        buckets: dict[tuple[str, ...], tuple[list[Node], list[Node]]] = {}
        for node in kb.nodes.values():
            key = tuple(node[axis] for axis in fixed)
            if UNKNOWN in key:
                continue
            bucket = buckets.setdefault(key, ([], []))
            for side, holds in zip(bucket, (left, right), strict=True):
                if holds.of(node) == YES:
                    side.append(node)
        seen: set[frozenset[str]] = set()
        for ones, others in buckets.values():
            for a in ones:
                for b in others:
                    pair = frozenset((a.id, b.id))
                    if a is not b and pair not in seen:
                        seen.add(pair)
                        yield _by_rule(kb, rule, a, b)


def rules_between(kb: KB, slot: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Rule]:
    """Yield the rules that hold between two points of the axes in a slot, catalogued or not."""
    for rule in standing(kb):
        if rule.slot == slot and all(a[axis] == b[axis] for axis in kb.axes_of(slot) if axis not in rule.free):
            left, right = condition(kb, rule.between.a), condition(kb, rule.between.b)
            if any(left.at(x) == YES == right.at(y) for x, y in ((a, b), (b, a))):
                yield rule


def _by_rule(kb: KB, rule: Rule, a: Node, b: Node) -> Fact:
    """State the rule for one pair; differing conditional axes that it does not free become assumptions."""
    cosmetic = tuple(
        f"{axis.name.lower()} does not matter ({a[axis.id]} / {b[axis.id]}): {axis.cosmetic_when}"
        for axis in kb.conditional_of(rule.slot)
        if axis.id not in rule.free and a[axis.id] != b[axis.id]
    )
    kept = rule.about if rule.about != "published" else about(kb, a.id, b.id)
    return Fact(
        a.id,
        b.id,
        "proved",
        rule.level,
        rule.id,
        rule.slot,
        rule.assumptions + cosmetic,
        kept,
        str(rule.limit) if rule.limit else None,
    )


def measured(kb: KB) -> Iterator[Fact]:
    """Read the pairs of the verdict file."""
    kinds: dict[str, Kind] = {"equal": "certified", "different": "refuted", "undecided": "undecided"}
    for pair in kb.verdicts.pairs:
        if pair.a in kb.nodes and pair.b in kb.nodes:
            yield Fact(
                pair.a,
                pair.b,
                kinds[pair.verdict],
                pair.level,
                CERTIFICATE,
                pair.slot,
                pair.assumptions,
                pair.about or about(kb, pair.a, pair.b),
                str(pair.limit) if pair.limit else None,
                pair.variance_ratio,
                pair.worst_residual,
                pair.upper_bound,
                pair.margin,
                pair.where,
                tuple(pair.limit.points.items()) if pair.limit else (),
            )


def declared(kb: KB) -> Iterator[Fact]:
    """Read what cards claim about other catalogued methods."""
    for card in kb.cards.values():
        for claim in card.relations:
            if claim.to in kb.nodes:
                conditions = (claim.condition,) if claim.condition else ()
                yield Fact(card.id, claim.to, "declared", claim.level or claim.kind, claim.kind, "actor", conditions)


def witnessed(kb: KB) -> Iterator[Separated]:
    """Read the witnesses whose figure has been measured and passed; the others refute nothing."""
    for result in kb.verdicts.witnesses:
        witness = kb.witnesses.get(result.id)
        if witness is None or not result.passed:
            continue
        for entry in witness.separates:
            left, right = (
                frozenset(n.id for n in kb.nodes.values() if side.of(n) == YES)
                for side in (condition(kb, entry.a), condition(kb, entry.b))
            )
            yield Separated(witness.id, entry.level, entry.slot, left, right, result.figure, witness.at_least)
