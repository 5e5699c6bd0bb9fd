"""How two methods are related: differences first, then what is the same, the shared core, the gaps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from flowrl_kb.kb.levels import LEVELS, implied
from flowrl_kb.kb.nodes import Difference, Node, differences
from flowrl_kb.kb.relations import Fact, Knowledge, Proof, knowledge
from flowrl_kb.kb.schema import SLOTS

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


@dataclass(frozen=True)
class Link:
    """One thing known about a pair: a proof or a single fact, with the variance ratio where measured."""

    a: str
    b: str
    level: str
    kind: str
    proof: Proof
    variance_ratio: float | None = None

    @property
    def assumptions(self) -> tuple[str, ...]:
        return self.proof.assumptions


@dataclass(frozen=True)
class Relation:
    """The answer of `relate`, in the order in which it should be read."""

    a: str
    b: str
    differences: tuple[Difference, ...]
    links: tuple[Link, ...]
    core: tuple[Link, ...]
    not_compared: tuple[str, ...]

    @property
    def same_cell(self) -> bool:
        return not any(d.axis.kind == "mechanism" and d.axis.slot == "actor" for d in self.differences)


def relate(kb: KB, a: str, b: str) -> Relation:
    """Relate two methods or variants given by id, name or alias."""
    one, other = kb.resolve(a), kb.resolve(b)
    known = knowledge(kb)
    links = links_between(known, one.id, other.id)
    core = [
        link
        for x in _cores(kb, one)
        for y in _cores(kb, other)
        if (x, y) != (one.id, other.id) and x != y and _both_stripped(kb, one, other, x, y)
        for link in links_between(known, x, y)
    ]
    gaps = _gaps(links) if one is not other else []
    compared = {(link.a, link.b) for link in core}
    gaps += [
        f"cores {x} and {y}"
        for x, y in product(_cores(kb, one)[1:], _cores(kb, other)[1:])
        if (x, y) not in compared and one.card is not other.card
    ]
    apart = tuple(differences(one, other, kb.axes.values()))
    return Relation(one.id, other.id, apart, tuple(links), tuple(core), tuple(gaps))


def links_between(known: Knowledge, a: str, b: str) -> list[Link]:
    """Return proofs (strongest levels only), certificates and claims about a pair."""
    found: list[Link] = []
    direct = known.between(a, b)
    covered: set[str] = set()
    for level in LEVELS:
        proof = known.proofs(a, level).get(b)
        if proof and level not in covered:
            found.append(Link(a, b, level, "proved", proof, _ratio(direct, level)))
            covered |= implied(level)
    for kind in ("certified", "refuted", "undecided", "declared"):
        found += [
            Link(a, b, fact.level, kind, Proof((fact,)), fact.variance_ratio)
            for fact in direct
            if fact.kind == kind
        ]
    return found


def _ratio(direct: list[Fact], level: str) -> float | None:
    ratios = [f.variance_ratio for f in direct if f.kind == "certified" and f.variance_ratio is not None]
    return ratios[0] if ratios else None


def _both_stripped(kb: KB, one: Node, other: Node, x: str, y: str) -> bool:
    """Where both methods have a stripped core, the cores are compared with each other and not with the methods."""
    if len(_cores(kb, one)) > 1 and len(_cores(kb, other)) > 1:
        return kb.nodes[x].is_core and kb.nodes[y].is_core
    return True


def _cores(kb: KB, node: Node) -> list[str]:
    """Return a node with the stripped cores of its card: a method may itself be the core of another."""
    cores = [n.id for n in kb.nodes.values() if n.card is node.card and n.is_core]
    return [node.id, *(core for core in cores if core != node.id)]


def _gaps(links: list[Link]) -> list[str]:
    """Return what no proof and no certificate settles: levels of the actor slot, then whole slots."""
    settled: set[str] = set()
    for link in links:
        if link.kind in ("proved", "certified"):
            settled |= implied(link.level)
        elif link.kind == "refuted":
            settled |= {level for level in LEVELS if link.level in implied(level)}
    gaps = [f"actor at {level}" for level in LEVELS if level not in settled and level != "limit"]
    slots = {fact.slot for link in links for fact in link.proof.facts}
    return gaps + [f"{slot} slot" for slot in SLOTS[1:] if slot not in slots]
