"""The glossary of hyper-parameters: canonical name, meaning, what papers and programs call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, math

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def page(kb: KB) -> str:
    """Return all terms; each is an anchor `#TERM`."""
    rows = []
    for term in kb.terms.values():
        said = "; ".join(f"{_whose(kb, who)}: {esc(word)}" for who, word in term.synonyms.items())
        used = [card.id for card in kb.cards.values() if term.id in card.hyperparameters or term.id in card.training]
        name = f'<span id="{term.id}"><code>{term.id}</code></span>'
        rows.append(
            (
                name,
                math(term.symbol),
                esc(term.definition),
                said or "none recorded",
                ", ".join(map(html.method, used)) or "none",
            )
        )
    words = [
        (html.value(axis.id, v.id), esc(axis.name), esc(", ".join(v.synonyms)))
        for axis in kb.axes.values()
        for v in axis.values
        if v.synonyms
    ]
    return html.document(
        "Terms",
        html.heading(2, "Hyper-parameters", "hyper-parameters"),
        html.table("Hyper-parameters", ("Term", "Symbol", "Meaning", "Called", "Used by"), rows),
        html.heading(2, "Words for values", "words"),
        html.table(
            "Words that the literature uses for values of the axes",
            ("Value", "Axis", "Also called"),
            words,
            "kb-sortable",
        ),
        toc=False,
        describe="Shared vocabulary.",
    )


def _whose(kb: KB, id: str) -> str:
    return html.method(id) if id in kb.cards else esc(id)
