"""What need not be said: facts that the others imply, and rules without which everything still follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flowrl_kb.kb.facts import Fact
from flowrl_kb.kb.relations import Knowledge, knowledge

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

Links = dict[str, list[Fact]]


def shown(known: Knowledge) -> list[Fact]:
    """Return the facts of the transitive reduction, in their order.

    A proved fact is left out when the remaining ones prove it under no other assumptions; a measured difference,
    when a difference at a weaker level of the same pair and slot implies it. Limits and claims imply nothing.
    """
    proved = [f for f in known.facts if f.kind == "proved" and f.level != "limit"]
    kept = _irredundant(known, proved)
    return [f for f in known.facts if (id(f) in kept if f.kind == "proved" and f.level != "limit" else _said(known, f))]


def _irredundant(known: Knowledge, proved: list[Fact]) -> set[int]:
    kept = {id(f) for f in proved}
    for fact in sorted(proved, key=lambda f: (-len(f.assumptions), -len(known.implied(f)))):
        kept.remove(id(fact))
        if not follows(known, fact, lambda f: id(f) in kept):
            kept.add(id(fact))
    return kept


def _said(known: Knowledge, fact: Fact) -> bool:
    if fact.kind != "refuted":
        return True
    others = known.between(fact.a, fact.b, fact.slot)
    return not any(
        o.kind == "refuted" and not o.is_witness and o.level != fact.level and known.excludes(o, fact.level)
        for o in others
    )


def follows(known: Knowledge, fact: Fact, use: Callable[[Fact], bool]) -> bool:
    """Whether the proved facts that `use` admits prove all that a fact implies under no other assumptions than its own.

    Each level is asked for itself: a chain at one level may pass through nodes to which an arrow does not apply.
    """
    return all(_reaches(known, fact, level, use) for level in known.implied(fact))


def _reaches(known: Knowledge, fact: Fact, level: str, use: Callable[[Fact], bool]) -> bool:
    allowed = set(fact.assumptions)
    links = known.links("proved", level, fact.slot)
    seen, frontier = {fact.a}, [fact.a]
    while frontier:
        node = frontier.pop()
        for link in links.get(node, ()):
            end = link.other(node)
            if end not in seen and use(link) and allowed.issuperset(link.assumptions):
                if end == fact.b:
                    return True
                seen.add(end)
                frontier.append(end)
    return False


def redundant_rules(kb: KB) -> list[tuple[str, list[str]]]:
    """Return rules that can be removed together without losing a proved pair, each with the rules that cover it.

    They are tested one after the other, so that of two rules that imply each other only one is reported.
    """
    known = knowledge(kb)
    of_rule: dict[str, list[Fact]] = {}
    for fact in known.facts:
        if fact.kind == "proved" and fact.level != "limit":
            of_rule.setdefault(fact.source, []).append(fact)
    gone: set[str] = set()
    for rule in sorted(of_rule, key=lambda r: (-len(kb.rules[r].assumptions), r)):
        gone.add(rule)
        if not all(follows(known, fact, lambda f: f.source not in gone) for fact in of_rule[rule]):
            gone.remove(rule)
    covering = {rule: set[str]() for rule in sorted(gone)}
    for rule in covering:
        for fact in of_rule[rule]:
            for proof in [known.proofs(fact.a, fact.level, fact.slot)[fact.b]]:
                covering[rule] |= set(proof.sources) - gone
    return [(rule, sorted(others)) for rule, others in covering.items()]
