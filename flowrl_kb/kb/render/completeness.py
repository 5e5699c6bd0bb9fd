"""What the catalogue covers: the declared scope, what the survey met, how much of each card is known."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flowrl_kb.kb import code
from flowrl_kb.kb.evidence import status
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link
from flowrl_kb.kb.source import read

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

MARKS = ("tested", "derived", "asserted", "unknown")


def page(kb: KB) -> str:
    """Return scope, coverage of the survey, and coverage of the coordinates."""
    path = kb.root / "taxonomy" / "scope.yaml"
    scope = read(path, "taxonomy/scope.yaml").data if path.is_file() else None
    return html.document(
        "Completeness",
        *(_scope(kb, scope) if scope else [html.para("No scope has been declared.")]),
        html.heading(2, "Coordinates", "coordinates"),
        _coordinates(kb),
        html.heading(2, "Methods", "by-method"),
        _methods(kb),
        html.heading(2, "Download", "download"),
        html.listing(
            f'<a href="@/data/{file}">{file}</a>: {what}'
            for file, what in (
                ("flowrl-kb.json", "everything, authored and derived"),
                ("flowrl-kb.csv", "one row for each method and variant"),
                ("flowrl-kb.bib", "BibTeX"),
                ("card.schema.json", "JSON Schema of a card, for editors"),
            )
        ),
        describe="What every published approach means here, and how much of it is catalogued.",
    )


def _scope(kb: KB, scope: dict) -> list[str]:
    surveyed = scope.get("surveyed", ())
    ids = {entry["id"] for entry in surveyed}
    have = ids & kb.cards.keys()
    rows = []
    for entry in surveyed:
        id = entry["id"]
        name = link(html.anchored("methods", id), entry["name"]) if id in kb.cards else esc(entry["name"])
        arxiv = entry.get("arxiv")
        paper = f'<a href="https://arxiv.org/abs/{esc(arxiv)}">{esc(arxiv)}</a>' if arxiv else ""
        doubt = "not confirmed" if entry.get("checked") is False else ""
        rows.append(
            (
                name,
                esc(entry.get("year", "")),
                paper,
                esc(", ".join(entry.get("found_in", ()))),
                "card" if id in kb.cards else "listed only",
                doubt,
            )
        )
    extra = len(kb.cards.keys() - ids)
    outside = f"Cards that the survey does not list: {extra}." if extra else ""
    facts = [
        ("Cut-off", f"{esc(scope.get('cut_off', ''))} ({esc(scope.get('date_of', ''))})"),
        ("Venues", esc(", ".join(scope.get("venues", ())))),
        ("Search phrases", esc("; ".join(scope.get("search_phrases", ())))),
    ]
    return [
        html.para(esc(scope.get("statement", "")), "kb-lead"),
        html.para(f"Of {len(surveyed)} surveyed approaches {len(have)} have a card. {outside}"),
        html.facts("Scope", facts),
        html.heading(2, "Limits of the claim", "limits"),
        html.listing(map(esc, scope.get("limits", ()))),
        html.heading(2, "Out of scope", "out"),
        html.listing(f"{esc(o['what'])}: {esc(o['because'])}" for o in scope.get("out_of_scope", ())),
        html.heading(2, "Surveyed", "surveyed"),
        html.table(
            "Surveyed approaches",
            ("Approach", "Year", "arXiv", "Found in", "State", "Remark"),
            rows,
            "kb-sortable kb-filterable",
        ),
    ]


def _coordinates(kb: KB) -> str:
    rows = []
    for axis in kb.axes.values():
        found = Counter(status(kb, card, axis.id) for card in kb.cards)
        rows.append(
            (
                link(html.anchored("axes", axis.id), axis.name),
                axis.kind,
                *(str(found[mark]) for mark in MARKS),
            )
        )
    return html.table("Methods by evidence for each axis", ("Axis", "Kind", *map(html.badge, MARKS)), rows)


def _methods(kb: KB) -> str:
    rows = []
    for card in kb.cards:
        found = Counter(status(kb, card, axis) for axis in kb.axes)
        law = sum(result.method == card for result in kb.verdicts.laws)
        slots = ", ".join(c.slot for c in kb.verdicts.certificates if c.method == card and c.verdict == "equal")
        rows.append(
            (
                html.method(card),
                "yes" if code.published(card) else "no",
                slots or "none",
                str(law),
                *(str(found[mark]) for mark in MARKS),
            )
        )
    return html.table(
        "Axes by evidence for each method",
        ("Method", "Executable", "Certified slots", "Laws measured", *map(html.badge, MARKS)),
        rows,
        "kb-sortable",
    )
