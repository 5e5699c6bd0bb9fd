"""One method on one screen: what it is, what it equals, what is new in it, and how to run it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flowrl_kb.kb import cells, code, ledger
from flowrl_kb.kb.answers import link_words
from flowrl_kb.kb.evidence import not_separated, status
from flowrl_kb.kb.levels import LEVELS
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.relate import Link, links_between
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.schema import SLOTS, UNKNOWN
from flowrl_kb.kb.terminal import heading, wrapped

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

MARK = {"tested": " +", UNKNOWN: " ?"}
KNOWN = {"proved": "proved", "certified": "measured"}
Grouped = dict[str, dict[str, list[str]]]
"""Others by slot, and by level and how that is known."""


def record(kb: KB, node: Node) -> dict[str, Any]:
    """Return what `show` prints, and more, as data."""
    card = node.card
    links = _links(kb, node)
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
        "certificates": [c.model_dump(exclude_none=True) for c in kb.verdicts.certificates if c.method == node.id],
        "variants": {f"{card.id}:{v.id}": v.summary for v in card.variants},
        "same_cell": [other.id for other in cells.same_cell(kb, node)],
        "equal": {other: link_words(kb, link) for other, link in links if link.kind != "refuted"},
        "equal_in": _grouped(link for _, link in links),
        "different": sorted({o for o, link in links if link.kind == "refuted"} - equal),
        "new": _new(kb, node),
        "run": f"flowrl-kb run {node.id} --task bandit/8gaussians" if code.published(card.id) else None,
        "errata": [e.model_dump() for e in card.errata],
        "unverified": list(card.unverified),
    }


def _links(kb: KB, node: Node) -> list[tuple[str, Link]]:
    known = knowledge(kb)
    return [
        (o, link)
        for o in sorted(known.related(node.id))
        for link in links_between(known, node.id, o)
        if link.kind in ("proved", "certified", "refuted")
    ]


def _grouped(links: Iterable[Link]) -> Grouped:
    """Others by slot and strongest level at which they are equal, a proof before a measurement."""
    best: dict[tuple[str, str], Link] = {}
    for link in links:
        if link.kind in KNOWN:
            best[link.slot, link.b] = min(best.get((link.slot, link.b), link), link, key=_rank)
    found: Grouped = {}
    for slot in SLOTS:
        of_slot = sorted((_rank(link), other, link) for (s, other), link in best.items() if s == slot)
        for _, other, link in of_slot:
            found.setdefault(slot, {}).setdefault(f"{link.level}, {KNOWN[link.kind]}", []).append(other)
    return found


def _rank(link: Link) -> tuple[int, int]:
    return LEVELS.index(link.level), list(KNOWN).index(link.kind)


def _new(kb: KB, node: Node) -> list[str]:
    """What the ledger says that is new in a method, without what it is the same as."""
    entry = next((e for e in ledger.ledger(kb).entries if e.id == node.id), None)
    return ledger.words(entry._replace(same=())) if entry else []


def method(kb: KB, node: Node) -> None:
    """Print one method or variant on one screen."""
    data = record(kb, node)
    _what_it_is(node, data)
    _coordinates(data)
    _what_it_equals(data)
    wrapped("; ".join(data["new"]) or f"new: nothing{' of its own: a variant' if node.variant else ''}")
    variants = [id for id in data["variants"] if id != node.id]
    if variants:
        wrapped("variants: " + ", ".join(variants))
    if data["errata"] or data["unverified"]:
        print(f"{len(data['errata'])} errata, {len(data['unverified'])} unverified statements (--json shows them)")
    missing = "no losses of its own (boundary)" if node.card.scope else "not executable yet (no published losses)"
    print(f"run: {data['run'] or missing}")


def _what_it_is(node: Node, data: dict[str, Any]) -> None:
    name, title = data["name"], data["title"]
    heading(f"{data['id']}  {title if title.startswith(name) else f'{name}: {title}'}")
    arxiv = data["arxiv"] and f"arXiv {data['arxiv']}"
    print(", ".join(part for part in (data["authors"], data["date"], data["venue"], arxiv, data["role"]) if part))
    wrapped(data["summary"])
    if node.card.status == "deprecated":
        print(f"deprecated; see {node.card.revoked_by}")
    if node.card.scope:
        wrapped(f"at the boundary of the map: {node.card.scope}")
    if actor := data["losses"].get("actor"):
        wrapped(f"actor loss: {actor}")


def _coordinates(data: dict[str, Any]) -> None:
    """The coordinates in two lists; `+` where a certificate tests them, `?` where they are unknown."""
    found = data["coordinates"].items()
    for kind in ("mechanism", "conditional"):
        of_kind = (f"{axis} {c['value']}{MARK.get(c['status'], '')}" for axis, c in found if c["kind"] == kind)
        wrapped(f"{kind} (+ tested): {', '.join(of_kind)}")
    loose = [f"{axis} from {', '.join(c['not_separated'])}" for axis, c in found if c["not_separated"]]
    if loose:
        wrapped(f"not separated: {'; '.join(loose)}")


def _what_it_equals(data: dict[str, Any]) -> None:
    slots: dict[str, list[str]] = {}
    for c in sorted(data["certificates"], key=lambda c: SLOTS.index(c["slot"])):
        slots.setdefault(f"{c['level']} {c['verdict']} within {c['margin']:g}", []).append(c["slot"])
    if slots:
        tested = "; ".join(f"{', '.join(names)} {how}" for how, names in slots.items())
        wrapped(f"published loss against its cell: {tested}")
    print("same cell: " + (", ".join(data["same_cell"]) or "no other method"))
    for slot, levels in data["equal_in"].items():
        listed = "; ".join(f"{how}: {', '.join(others)}" for how, others in levels.items())
        wrapped(f"equal in the slot {slot}: {listed}")
    if data["different"]:
        print(f"measured different from {len(data['different'])} others, equal to them in no slot")
    if data["equal_in"]:
        print(f"why, and assuming what: flowrl-kb relate {data['id']} OTHER")
