"""Screens of answers: relations, queries and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrl_kb.kb.evaluate import WHOLE
from flowrl_kb.kb.facts import about
from flowrl_kb.kb.levels import MEANING
from flowrl_kb.kb.query import Answer, describe, evidence, number
from flowrl_kb.kb.relate import Link, Relation
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.terminal import heading, table, wrapped
from flowrl_kb.kb.whole import LAW, sentence, whole
from flowrl_kb.kb.whole import classes as whole_classes

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

KINDS = {"published": "as published", "as-coded": "as coded", "stripped-core": "stripped cores"}


def link_words(kb: KB, link: Link) -> str:
    """Return one relation in one line."""
    fact = link.proof.facts[0]
    ratio = f"; variance ratio {number(link.variance_ratio)}" if link.variance_ratio is not None else ""
    kind = f"; {KINDS[link.proof.about]}"
    if link.kind == "proved":
        return f"{link.level}, proved: {describe(kb, link.proof)}{ratio}{kind}"
    kept = f"; kept assumptions: {', '.join(link.assumptions)}" if link.assumptions else ""
    limit = f" ({fact.limit})" if fact.limit else ""
    points = "; at " + ", ".join(f"{n}: {number(r)}" for n, r in fact.points) if fact.points else ""
    where = f" in {fact.where}" if fact.where else ""
    if link.kind == "certified":
        size = f"worst residual {number(fact.worst_residual)}{where}"
        size += f", margin {number(fact.margin)}" if fact.margin is not None else ""
        return f"{link.level}{limit}, certified equal ({size}){points}{kept}{ratio}{kind}"
    if link.kind == "refuted" and len(link.proof.facts) > 1:
        return f"different at {link.level}: {describe(kb, link.proof)}{kind}"
    if link.kind == "refuted":
        return f"different at {link.level}{limit}, {evidence(fact)}{points}{kept}{kind}"
    if link.kind == "undecided":
        return f"undecided at {link.level}{limit}{where}{kept}{kind}"
    condition = f" if {', '.join(link.assumptions)}" if link.assumptions else ""
    return f"{link.level}, claimed by a card ({fact.source}){condition}"


def relation_record(found: Relation) -> dict[str, Any]:
    """Return what `relate` prints, as data."""

    def link(one: Link) -> dict[str, Any]:
        return {
            "a": one.a,
            "b": one.b,
            "slot": one.slot,
            "level": one.level,
            "kind": one.kind,
            "about": one.proof.about,
            "sources": one.proof.sources,
            "assumptions": one.assumptions,
            "variance_ratio": one.variance_ratio,
            "worst_residual": one.proof.facts[0].worst_residual,
            "facts": one.proof.facts,
        }

    return {
        "a": found.a,
        "b": found.b,
        "summary": sentence(list(found.whole)),
        "whole": found.whole,
        "differences": [
            {"axis": d.axis.id, "kind": d.axis.kind, "slot": d.axis.slot, "a": d.a, "b": d.b} for d in found.differences
        ],
        "same_cell": found.same_cell,
        "links": [link(one) for one in found.links],
        "core": [link(one) for one in found.core],
        "not_compared": found.not_compared,
    }


def relation(kb: KB, found: Relation) -> None:
    """Print how two methods are related: differences, what is the same, the shared core, the gaps."""
    heading(f"{found.a} and {found.b}, {KINDS[about(kb, found.a, found.b)]}")
    if found.whole:
        wrapped(f"as whole methods: {sentence(list(found.whole))}")
    if found.differences:
        rows = [
            (
                d.axis.id + ("" if d.axis.kind == "mechanism" else " *"),
                d.a,
                d.b,
                "" if d.axis.kind == "mechanism" else f"cosmetic when: {d.axis.cosmetic_when}",
            )
            for d in found.differences
        ]
        table(("differs in (* conditional)", found.a, found.b, ""), rows)
    else:
        print("no axis separates them")
    if found.same_cell and found.a != found.b:
        print("same cell: all actor mechanism axes agree")
    for link in found.links:
        wrapped(f"{link.slot}: {link_words(kb, link)}", "  ")
    if not found.links and found.a != found.b:
        print("no proof, certificate or claim relates them as published")
    if found.core:
        heading("stripped core")
        for link in found.core:
            wrapped(f"{link.a} and {link.b}, {link.slot}: {link_words(kb, link)}", "  ")
    if found.not_compared:
        wrapped("not compared: " + ", ".join(found.not_compared))


def answer(found: Answer, verbose: bool = False) -> None:
    """Print an answer: members with reasons, candidates, and how complete it is."""
    heading(f"satisfies ({len(found.satisfies)})")
    for id in found.satisfies:
        wrapped(f"{id}: {found.why[id]}" if id in found.why else id, "  ")
    if found.empty:
        wrapped(found.empty, "  ")
    heading(f"may satisfy ({len(found.may)})")
    if verbose or len(found.may) <= 8:
        for id in found.may:
            wrapped(f"{id}: {found.why[id]}" if id in found.why else id, "  ")
    else:
        wrapped(", ".join(found.may), "  ")
    print(f"does not satisfy: {len(found.does_not)}")
    wrapped(found.completeness)


def class_list(kb: KB, level: str, slot: str) -> list[set[str]]:
    """Return the classes at a level in one slot, or of whole methods; without a slot, whichever the level is about."""
    slot = slot or (WHOLE if level == LAW else "actor")
    return whole_classes(kb, level) if slot == WHOLE else knowledge(kb).classes(level, slot)


def classes(kb: KB, level: str, slot: str) -> None:
    """Print the equivalence classes at a level, each member with its proof from the first."""
    slot = slot or (WHOLE if level == LAW else "actor")
    found = [c for c in class_list(kb, level, slot) if len(c) > 1]
    print(f"{level} ({'whole methods' if slot == WHOLE else slot}): {MEANING[level]}")
    for members in found:
        first, *others = sorted(members)
        heading("  " + ", ".join([first, *others]))
        for other in others:
            if slot == WHOLE:
                words = sentence([whole(kb, kb.nodes[first], kb.nodes[other], level)])
            else:
                words = describe(kb, knowledge(kb).equal_to(first, level, slot)[other])
            wrapped(f"{first} ~ {other}: {words}", "    ")
    if not found:
        print("no two nodes are proved or certified equal at this level")
