"""The index of methods: one table with every card, sortable and filterable where scripts run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb import code
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import link

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

COLUMNS = ("operator", "reference", "space", "route", "intermediate-value", "acting", "policy", "setting")


def page(kb: KB) -> str:
    """Return the table of all methods, oldest first."""
    axes = [axis for axis in COLUMNS if axis in kb.axes]
    rows = []
    for card in sorted(kb.cards.values(), key=lambda c: (c.date, c.id)):
        node = kb.nodes[card.id]
        rows.append(
            (
                link(html.anchored("methods", card.id), card.name, card.title),
                card.date[:4],
                certified(kb, card.id),
                *(html.value(axis, node[axis]) for axis in axes),
            )
        )
    head = (
        "Method",
        "Year",
        "Evidence",
        *(link(html.anchored("axes", a), a, kb.axes[a].question) for a in axes),
    )
    return html.document(
        "Methods",
        html.para(
            "Every catalogued method with the coordinates that separate most of them. "
            "The page of each says where every value comes from."
        ),
        html.table("Methods", head, rows, "kb-wide kb-sortable kb-filterable"),
        toc=False,
        describe="All catalogued methods with their coordinates.",
    )


def certified(kb: KB, id: str) -> str:
    """Return the state of the actor's certificate as a badge."""
    found = [c for c in kb.verdicts.certificates if c.method == id and c.slot == "actor"]
    if found:
        return html.badge(found[0].verdict, {"equal": "certified", "different": "refuted"}.get(found[0].verdict, ""))
    if kb.cards[id].scope:
        return html.badge("unknown", "boundary")
    return html.badge("unknown", "not certified" if code.published(id) else "not executable")
