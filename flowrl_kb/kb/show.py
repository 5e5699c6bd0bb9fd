"""Screens of the read commands: what a method, an axis, a cell, an answer or a relation looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrl_kb.errors import unknown
from flowrl_kb.kb import cells, code
from flowrl_kb.kb.evidence import not_separated, status
from flowrl_kb.kb.levels import LEVELS, MEANING
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.query import Answer, describe, number
from flowrl_kb.kb.relate import Link, Relation, links_between
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.schema import UNKNOWN
from flowrl_kb.kb.terminal import heading, table, wrapped

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

MARK = {"tested": "tested", "derived": "derived", "asserted": "asserted", UNKNOWN: ""}


def record(kb: KB, node: Node) -> dict[str, Any]:
    """Return what `show` prints, as data."""
    card = node.card
    coordinates = {}
    for axis in kb.axes.values():
        own = card.coordinates.get(axis.id)
        changed = node.variant is not None and axis.id in node.variant.coordinates
        coordinates[axis.id] = {
            "value": node[axis.id],
            "kind": axis.kind,
            "status": "variant" if changed else status(kb, card.id, axis.id),
            "evidence": None if changed or own is None else own.evidence,
            "not_separated": not_separated(kb, card.id, axis.id),
        }
    return {
        "id": node.id,
        "name": card.name,
        "title": card.title,
        "authors": card.authors,
        "date": card.date,
        "venue": card.venue,
        "arxiv": card.arxiv,
        "role": card.role,
        "status": card.status,
        "summary": node.variant.summary if node.variant else card.summary,
        "coordinates": coordinates,
        "losses": card.losses,
        "variants": {f"{card.id}:{v.id}": v.summary for v in card.variants},
        "same_cell": [other.id for other in cells.same_cell(kb, node)],
        "equal": {other: link_words(kb, link) for other, link in _equals(kb, node)},
        "run": f"flowrl-kb run {card.id} --task bandit/8gaussians" if code.published(card.id) else None,
        "errata": [e.model_dump() for e in card.errata],
        "unverified": list(card.unverified),
    }


def _equals(kb: KB, node: Node) -> list[tuple[str, Link]]:
    known = knowledge(kb)
    others = {fact.other(node.id) for fact in known.facts if node.id in (fact.a, fact.b)}
    for level in LEVELS:
        others |= known.proofs(node.id, level).keys()
    return [
        (o, link)
        for o in sorted(others)
        for link in links_between(known, node.id, o)
        if link.kind in ("proved", "certified", "refuted")
    ]


def method(kb: KB, node: Node) -> None:
    """Print one method or variant on one screen."""
    data = record(kb, node)
    heading(f"{data['id']}  {data['name']}: {data['title']}")
    origin = [
        data["authors"],
        data["date"],
        data["venue"],
        data["arxiv"] and f"arXiv {data['arxiv']}",
        data["role"],
    ]
    print(", ".join(part for part in origin if part))
    wrapped(data["summary"])
    if node.card.status == "deprecated":
        print(f"deprecated; see {node.card.revoked_by}")
    print()
    rows = []
    for axis, c in data["coordinates"].items():
        loose = f"not separated from {', '.join(c['not_separated'])}" if c["not_separated"] else ""
        rows.append((axis + ("" if c["kind"] == "mechanism" else " *"), c["value"], c["status"], loose))
    shown = rows if any(row[3] for row in rows) else [row[:3] for row in rows]
    table(("axis (* conditional)", "value", "evidence", "remark")[: len(shown[0])], shown)
    if actor := data["losses"].get("actor"):
        wrapped(f"actor loss: {actor}")
    print("same cell: " + (", ".join(data["same_cell"]) or "no other method"))
    for other, words in data["equal"].items():
        wrapped(f"{other}: {words}", "  ")
    for id, summary in data["variants"].items():
        if id != node.id:
            wrapped(f"variant {id}: {summary}")
    if data["errata"] or data["unverified"]:
        print(
            f"{len(data['errata'])} errata, {len(data['unverified'])} unverified statements "
            "(--json shows them)"
        )
    print(f"run: {data['run'] or 'not executable yet (no published losses)'}")


def link_words(kb: KB, link: Link) -> str:
    """Return one relation in one line."""
    fact = link.proof.facts[0]
    ratio = f"; variance ratio {number(link.variance_ratio)}" if link.variance_ratio is not None else ""
    if link.kind == "proved":
        return f"{link.level}, proved: {describe(kb, link.proof)}{ratio}"
    kept = f"; kept assumptions: {', '.join(link.assumptions)}" if link.assumptions else ""
    if link.kind == "certified":
        return f"{link.level}, certified equal (worst residual {number(fact.worst_residual)}){kept}{ratio}"
    if link.kind == "refuted":
        return f"different at {link.level}, certified (worst residual {number(fact.worst_residual)}){kept}"
    if link.kind == "undecided":
        return f"undecided at {link.level}{kept}"
    condition = f" if {', '.join(link.assumptions)}" if link.assumptions else ""
    return f"{link.level}, claimed by a card ({fact.source}){condition}"


def relation(kb: KB, found: Relation) -> None:
    """Print how two methods are related: differences, what is the same, the shared core, the gaps."""
    heading(f"{found.a} and {found.b}, as published")
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
        wrapped(link_words(kb, link), "  ")
    if not found.links and found.a != found.b:
        print("no proof, certificate or claim relates them as published")
    if found.core:
        heading("stripped core")
        for link in found.core:
            wrapped(f"{link.a} and {link.b}: {link_words(kb, link)}", "  ")
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


def axes(kb: KB) -> None:
    """Print all axes with their values."""
    rows = [(a.id, a.kind, a.question, ", ".join(v.id for v in a.values)) for a in kb.axes.values()]
    table(("axis", "kind", "question", "values"), rows)


def axis(kb: KB, id: str) -> None:
    """Print one axis: each value with its definition, its test and who takes it."""
    if id not in kb.axes:
        raise unknown("axis", id, kb.axes)
    found = kb.axes[id]
    heading(f"{found.id} ({found.kind}): {found.question}")
    if found.cosmetic_when:
        wrapped(f"cosmetic when: {found.cosmetic_when}")
        wrapped(f"mechanism when: {found.mechanism_when}")
    rows = []
    for value in found.values:
        takers = ", ".join(n.id for n in kb.nodes.values() if not n.variant and n[id] == value.id)
        part = code.part(id, value.id)
        where = f"parts/{code.identifier(id)}.py:{part.line}" if part else ""
        rows.append((value.id, value.definition, value.test, takers, where))
    table(("value", "definition", "test", "methods", "executable"), rows)


def cell_record(kb: KB, text: str) -> dict[str, Any]:
    """Return what `cell` prints, as data: coordinates, broken constraints, members, nearest, neighbours."""
    if "=" in text:
        found = cells.parse(kb, text)
    else:
        node = kb.resolve(text)
        found = {axis.id: node[axis.id] for axis in kb.actor_axes}
    decided = {axis: value for axis, value in found.items() if value != UNKNOWN}
    broken = cells.violations(kb, decided)
    completion = None if broken else cells.possible(kb, None, decided)
    surely, maybe = cells.members(kb, decided)
    return {
        "cell": found,
        "violates": [{"id": c.id, "because": c.because} for c in broken],
        "allowed": not broken and completion is not None,
        "members": [n.id for n in surely],
        "may": [n.id for n in maybe],
        "nearest": [(steps, n.id) for steps, n in cells.nearest(kb, decided)] if not surely else [],
        "neighbours": [
            (axis, value, [n.id for n in nodes]) for axis, value, nodes in cells.neighbours(kb, decided)
        ],
    }


def cell(kb: KB, text: str) -> None:
    """Print a cell: who is in it, or why nobody can be, and what lies one coordinate away."""
    data = cell_record(kb, text)
    table(("axis", "value"), data["cell"].items())
    for broken in data["violates"]:
        wrapped(f"impossible: constraint {broken['id']} ({broken['because']})")
    if not data["allowed"] and not data["violates"]:
        print("impossible: no completion of these coordinates satisfies all constraints")
    if data["allowed"]:
        print("members: " + (", ".join(data["members"]) or "none catalogued: an allowed, empty cell"))
        if data["may"]:
            print("may be members: " + ", ".join(data["may"]))
    if data["nearest"]:
        print("nearest: " + ", ".join(f"{id} (distance {steps})" for steps, id in data["nearest"]))
    if data["neighbours"]:
        rows = [(axis, value, ", ".join(ids) or "empty") for axis, value, ids in data["neighbours"]]
        table(("one step away", "value", "methods"), rows)


def classes(kb: KB, level: str) -> None:
    """Print the equivalence classes at a level."""
    found = [c for c in knowledge(kb).classes(level) if len(c) > 1]
    print(f"{level}: {MEANING[level]}")
    for members in found:
        first, *others = sorted(members)
        heading("  " + ", ".join([first, *others]))
        reached = knowledge(kb).equal_to(first, level)
        for other in others:
            wrapped(f"{first} ~ {other}: {describe(kb, reached[other])}", "    ")
    if not found:
        print("no two nodes are proved or certified equal at this level")
