"""The mathematics of a card: losses, notation, and published hyper-parameters with their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link, math
from flowrl_kb.kb.schema import Card

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def losses(kb: KB, card: Card) -> str:
    """Return the losses as displayed formulas, their constants, and the notation map."""
    named = {slot.replace("_", " ").capitalize(): latex for slot, latex in card.losses.items()}
    parts = [f"<h3>{esc(name)}</h3>\n{html.display(latex)}" for name, latex in named.items()]
    if card.stop_gradients:
        parts.append(html.para("Constants of the loss (no gradient): " + esc("; ".join(card.stop_gradients)) + "."))
    if card.notation:
        rows = [(_symbol(kb, theirs), _symbol(kb, ours)) for theirs, ours in card.notation.items()]
        parts.append(html.table("Notation", ("In the paper or its code", "Here"), rows, "kb-small"))
    return "".join(parts)


def _symbol(kb: KB, text: str) -> str:
    """Return a symbol as mathematics, a term as a link, words as words."""
    if text in kb.terms:
        return link(html.anchored("term", text), text)
    if "\\" in text or "^" in text or len(text) <= 2:
        return math(text)
    return esc(text)


def hyperparameters(kb: KB, card: Card) -> str:
    """Return the published values of losses and training, each with its source."""
    blocks = []
    for caption, settings in (("Of the losses", card.hyperparameters), ("Of training", card.training)):
        rows = []
        for name, found in settings.items():
            term = kb.terms.get(name)
            title = link(html.anchored("term", name), name, term.definition) if term else esc(name)
            note = f"; {esc(found.note)}" if found.note else ""
            rows.append((title, math(term.symbol) if term else "", figure(found.value), esc(found.source) + note))
        if rows:
            blocks.append(html.table(caption, ("Name", "Symbol", "Published value", "Source"), rows))
    return "\n".join(blocks)


def figure(setting: object) -> str:
    """Return a setting in words; 1 and True are different settings."""
    if isinstance(setting, tuple):
        return ", ".join(map(figure, setting))
    if setting is None:
        return "none"
    if isinstance(setting, bool):
        return "yes" if setting else "no"
    return esc(setting)
