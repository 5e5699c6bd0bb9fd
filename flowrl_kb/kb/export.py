"""The knowledge base in formats that other programs read."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json as to_text

import flowrl_kb
from flowrl_kb.kb.evidence import status
from flowrl_kb.kb.ledger import ledger
from flowrl_kb.kb.project import placements
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.schema import Card
from flowrl_kb.kb.terminal import plain

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

SCHEMA_VERSION = 1


def bundle(kb: KB) -> dict[str, Any]:
    """Return everything, authored and derived, as one JSON-ready object."""
    known = knowledge(kb)
    cards = {}
    for card in kb.cards.values():
        cards[card.id] = card.model_dump(mode="json", exclude_none=True)
        cards[card.id]["evidence"] = {axis: status(kb, card.id, axis) for axis in kb.axes}
    return {
        "schema_version": SCHEMA_VERSION,
        "kb_version": flowrl_kb.__version__,
        "axes": {id: axis.model_dump(mode="json", exclude_none=True) for id, axis in kb.axes.items()},
        "constraints": [c.model_dump(mode="json", by_alias=True) for c in kb.constraints.values()],
        "terms": {id: term.model_dump(mode="json") for id, term in kb.terms.items()},
        "rules": {id: rule.model_dump(mode="json", exclude_none=True) for id, rule in kb.rules.items()},
        "cards": cards,
        "variants": {n.id: dict(n.coordinates) for n in kb.nodes.values() if n.variant},
        "relations": [
            {key: value for key, value in vars(fact).items() if value not in (None, ())} for fact in known.facts
        ],
        "arrows": [a.model_dump(mode="json", by_alias=True) for a in kb.arrows.values()],
        "witnesses": {id: w.model_dump(mode="json", exclude_none=True) for id, w in kb.witnesses.items()},
        "ledger": [plain(entry) for entry in ledger(kb).entries],
        "projections": {
            id: {"name": chart.name, "placements": [p._asdict() for p in placements(kb, id)]}
            for id, chart in kb.projections.items()
        },
        "verdicts": kb.verdicts.model_dump(mode="json"),
    }


def to_json(kb: KB) -> str:
    """Return the bundle as indented JSON."""
    return kb.derived("bundle", lambda kb: to_text(bundle(kb), indent=1).decode() + "\n")


def to_csv(kb: KB) -> str:
    """Return one row for each method and variant: id, name, date, role, then one column for each axis."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "name", "date", "role", "arxiv", *kb.axes])
    for node in kb.nodes.values():
        card = node.card
        writer.writerow([node.id, card.name, card.date, card.role, card.arxiv or "", *(node[a] for a in kb.axes)])
    return out.getvalue()


def to_bibtex(kb: KB) -> str:
    """Return one BibTeX entry for each card; the key is the card's id."""
    return "\n".join(_entry(card) for card in kb.cards.values())


def _entry(card: Card) -> str:
    fields = {
        "title": f"{{{card.title}}}",
        "author": card.authors.replace(" et al.", " and others"),
        "year": str(card.year),
    }
    if card.venue:
        fields["note"] = card.venue
    if card.arxiv:
        fields |= {"eprint": card.arxiv, "archiveprefix": "arXiv"}
    lines = [f"  {key} = {{{_escape(value)}}}," for key, value in fields.items()]
    return "\n".join([f"@misc{{{card.id},", *lines, "}", ""])


def _escape(text: str) -> str:
    for character in "&%#_":
        text = text.replace(character, "\\" + character)
    return text


def to_schema(kb: KB) -> str:
    """Return the JSON Schema of a method card, with the values of every axis, for editors."""
    schema = Card.model_json_schema(by_alias=True)
    coordinate = schema["$defs"]["Coordinate"]
    schema["properties"]["coordinates"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            axis.id: {
                "description": axis.question,
                **coordinate,
                "properties": {
                    **coordinate["properties"],
                    "value": {"enum": [*(v.id for v in axis.values), "unknown", "not-applicable"]},
                },
            }
            for axis in kb.axes.values()
        },
    }
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


FORMATS = {"json": to_json, "csv": to_csv, "bibtex": to_bibtex, "schema": to_schema}
