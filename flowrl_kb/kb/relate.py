"""How two methods are related: as whole methods, slot by slot, their shared core, and what was not compared."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from flowrl_kb.kb.facts import Fact, Proof
from flowrl_kb.kb.levels import CLASSED, LEVELS, UNGRADED
from flowrl_kb.kb.nodes import Difference, Node, differences
from flowrl_kb.kb.relations import Knowledge, knowledge
from flowrl_kb.kb.schema import SLOTS
from flowrl_kb.kb.whole import Whole, everywhere, slots, trained

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


@dataclass(frozen=True)
class Link:
    """One thing known about a pair: a proof, a refutation or a single fact, with the variance ratio where measured."""

    a: str
    b: str
    level: str
    kind: str
    proof: Proof
    slot: str = "actor"
    variance_ratio: float | None = None

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a proof assumes, or what a measurement kept."""
        return self.proof.facts[0].assumptions if len(self.proof.facts) == 1 else self.proof.assumptions


@dataclass(frozen=True)
class Relation:
    """The answer of `relate`, in the order in which it should be read."""

    a: str
    b: str
    whole: tuple[Whole, ...]
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
    wholes = tuple(everywhere(kb, one, other)) if one is not other else ()
    gaps = _gaps(kb, known, one, other, links) if one is not other else []
    if wholes and wholes[-1].state == "same":
        gaps = [gap for gap in gaps if gap != f"actor at {wholes[-1].level}"]
    compared = {(link.a, link.b) for link in core}
    gaps += [
        f"cores {x} and {y}"
        for x, y in product(_cores(kb, one)[1:], _cores(kb, other)[1:])
        if (x, y) not in compared and one.card is not other.card
    ]
    apart = tuple(differences(one, other, kb.axes.values()))
    return Relation(one.id, other.id, wholes, apart, tuple(links), tuple(core), tuple(gaps))


def links_between(known: Knowledge, a: str, b: str) -> list[Link]:
    """Return, slot by slot, proofs (strongest levels only), certificates, refutations (weakest only) and claims."""
    found: list[Link] = []
    for slot in SLOTS:
        direct = known.between(a, b, slot)
        ratios = [f for f in direct if f.kind == "certified" and f.variance_ratio is not None]
        covered: set[str] = set()
        for level in LEVELS:
            proof = known.proofs(a, level, slot).get(b)
            if proof and level not in covered:
                ratio = next((f.variance_ratio for f in ratios if level in known.implied(f)), None)
                found.append(Link(a, b, level, "proved", proof, slot, ratio))
                covered |= known.arrows.implied(level, slot, a, b)
        for kind in ("certified", "refuted", "undecided", "declared"):
            chosen = [f for f in direct if f.kind == kind]
            found += [
                Link(a, b, f.level, kind, Proof((f,)), slot, f.variance_ratio)
                for f in chosen
                if kind != "refuted" or not _implied(known, f, chosen)
            ]
        if not any(f.kind == "refuted" for f in direct):
            found += _through_equals(known, a, b, slot)
    return found


def _implied(known: Knowledge, fact: Fact, others: list[Fact]) -> bool:
    """Whether another difference of the same source kind, at a weaker level, already says so."""
    return any(
        o.is_witness == fact.is_witness and o.level != fact.level and known.excludes(o, fact.level) for o in others
    )


def _through_equals(known: Knowledge, a: str, b: str, slot: str) -> list[Link]:
    """Return the difference at the weakest level that follows from what equals the two."""
    for level in reversed(CLASSED):
        if proof := known.refutation(a, b, level, slot):
            return [Link(a, b, level, "refuted", proof, slot)]
    return []


def _both_stripped(kb: KB, one: Node, other: Node, x: str, y: str) -> bool:
    """Where both methods have a stripped core, the cores are compared with each other and not with the methods."""
    if len(_cores(kb, one)) > 1 and len(_cores(kb, other)) > 1:
        return kb.nodes[x].is_core and kb.nodes[y].is_core
    return True


def _cores(kb: KB, node: Node) -> list[str]:
    """Return a node with the stripped cores of its card: a method may itself be the core of another."""
    cores = [n.id for n in kb.nodes.values() if n.card is node.card and n.is_core]
    return [node.id, *(core for core in cores if core != node.id)]


def _gaps(kb: KB, known: Knowledge, one: Node, other: Node, links: list[Link]) -> list[str]:
    """Return what nothing settles: the levels of each slot that both have, or the whole slot."""
    gaps = []
    for slot in slots(kb, one, other):
        settled: set[str] = set()
        for link in (x for x in links if x.slot == slot):
            implied = known.arrows.implied(link.level, slot, link.a, link.b)
            if link.kind in ("proved", "certified"):
                settled |= implied
            elif link.kind == "refuted":
                settled |= {x for x in CLASSED if link.level in known.arrows.implied(x, slot, link.a, link.b)}
        if not settled and slot != "actor":
            gaps.append(f"{slot} slot")
        elif slot not in UNGRADED:
            asked = CLASSED if slot == "actor" else CLASSED[:-1]
            gaps += [f"{slot} at {level}" for level in asked if level not in settled]
    missing = sorted(trained(kb, one) ^ trained(kb, other), key=SLOTS.index)
    return gaps + [f"{slot} (only one of them trains it)" for slot in missing]
