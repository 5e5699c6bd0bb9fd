"""The index of methods: one table with every card, sortable and filterable where scripts run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb import code
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link

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
                *(html.value(axis, node[axis]) for axis in axes),
                certified(kb, card.id),
            )
        )
    head = ("Method", "Year", *(link(html.anchored("axes", a), kb.axes[a].name) for a in axes), "Evidence")
    return html.document(
        "Methods",
        html.para(
            "Every catalogued method with the coordinates that separate most of them. A page for each says where every value comes from."
        ),
        html.table("Methods", head, rows, "kb-sortable", "methods"),
        toc=False,
        describe="All catalogued methods with their coordinates.",
    )


def certified(kb: KB, id: str) -> str:
    """Return the state of the actor's certificate as a badge."""
    found = [c for c in kb.verdicts.certificates if c.method == id and c.slot == "actor"]
    if found:
        return html.badge(
            found[0].verdict, {"equal": "certified", "different": "refuted"}.get(found[0].verdict, "")
        )
    return html.badge("asserted", "executable" if code.published(id) else esc("card only"))
