"""Screens of objects: methods, axes, rules and projections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrl_kb.errors import unknown
from flowrl_kb.kb import cells, code
from flowrl_kb.kb.answers import link_words
from flowrl_kb.kb.evidence import not_separated, status
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.project import placements, shared
from flowrl_kb.kb.relate import Link, links_between
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.schema import UNKNOWN
from flowrl_kb.kb.terminal import heading, table, wrapped

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

MARK = {"tested": "tested", "derived": "derived", "asserted": "asserted", UNKNOWN: ""}


def record(kb: KB, node: Node) -> dict[str, Any]:
    """Return what `show` prints, as data."""
    card = node.card
    links = _equals(kb, node)
    equal = {other for other, link in links if link.kind != "refuted"}
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
        "equal": {other: link_words(kb, link) for other, link in links if link.kind != "refuted"},
        "different": sorted({o for o, link in links if link.kind == "refuted"} - equal),
        "run": f"flowrl-kb run {card.id} --task bandit/8gaussians" if code.published(card.id) else None,
        "errata": [e.model_dump() for e in card.errata],
        "unverified": list(card.unverified),
    }


def _equals(kb: KB, node: Node) -> list[tuple[str, Link]]:
    known = knowledge(kb)
    return [
        (o, link)
        for o in sorted(known.related(node.id))
        for link in links_between(known, node.id, o)
        if link.kind in ("proved", "certified", "refuted")
    ]


def method(kb: KB, node: Node) -> None:
    """Print one method or variant on one screen."""
    data = record(kb, node)
    name, title = data["name"], data["title"]
    heading(f"{data['id']}  {title if title.startswith(name) else f'{name}: {title}'}")
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
    if node.card.scope:
        wrapped(f"at the boundary of the map: {node.card.scope}")
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
    if data["different"]:
        wrapped("measured different: " + ", ".join(data["different"]))
    for id, summary in data["variants"].items():
        if id != node.id:
            wrapped(f"variant {id}: {summary}")
    if data["errata"] or data["unverified"]:
        print(f"{len(data['errata'])} errata, {len(data['unverified'])} unverified statements (--json shows them)")
    missing = "no losses of its own (boundary)" if node.card.scope else "not executable yet (no published losses)"
    print(f"run: {data['run'] or missing}")


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


def rule(kb: KB, id: str) -> None:
    """Print one rule: what it states, for whom, under which assumptions, and how it is guarded."""
    found = kb.rules[id]
    heading(f"{found.id} ({found.level}, {found.slot} slot): {found.name}")
    wrapped(found.statement)
    table(
        ("", ""),
        [
            ("holds between", found.between.a),
            ("and", found.between.b),
            ("free axes", ", ".join(found.free) or "none"),
            ("assuming", "; ".join(found.assumptions) or "nothing"),
            ("limit", found.limit or "none"),
            ("certificate", _guard(kb, found.certificate)),
            ("control", found.control or "none"),
        ],
    )
    wrapped(found.derivation)
    pairs = [f"{f.a} ~ {f.b}" for f in knowledge(kb).facts if f.kind == "proved" and f.source == id]
    wrapped("relates: " + (", ".join(pairs) or "no catalogued pair"))


def _guard(kb: KB, certificate: str | None) -> str:
    if certificate is None:
        return "none"
    run = next((i for i in kb.verdicts.identities if i.id == certificate), None)
    if run is None:
        return f"{certificate}: not run"
    outcome = "passed" if run.passed else "failed"
    return f"{certificate}: {outcome}, error {run.error}, control {run.control_error}"


def projection(kb: KB, id: str) -> None:
    """Print a projection: the computed placement of every method beside the published one."""
    chart = kb.projections[id]
    heading(f"{chart.id}: {chart.name} ({chart.source})")
    rows = []
    for p in placements(kb, id):
        verdict = {True: "agrees", False: "DIFFERS", None: ""}[p.agrees]
        rows.append((p.method, p.function, p.computed, p.published or "not placed", verdict))
    table(("method", "function", "computed", "published", ""), rows)
    for remark in chart.remarks:
        rests = f" ({', '.join(remark.rests_on)})" if remark.rests_on else ""
        wrapped(f"{', '.join(remark.methods)}: {remark.remark}{rests}")
    for cell, _, pairs in shared(kb, id):
        heading(f"in one published cell: {', '.join(cell)}")
        table(("pair", "actors", "level", "by"), [(f"{p.a} ~ {p.b}", p.state, p.level, p.source) for p in pairs])
