"""The page of the ledger: what each method was the first to use, or which earlier one it is the same as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb.ledger import Entry, First, Same, ledger
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def page(kb: KB) -> str:
    """Return all methods, oldest first, with what each brought among the catalogued ones."""
    found = ledger(kb)
    rows = [(html.method(e.id), esc(e.date), e.kind, html.listing(_lines(e))) for e in found.entries]
    text = (
        "A method may bring a value of an axis that no earlier card uses, a combination of old ones, or neither. "
        "Agreement with an earlier method is stated with its level, its assumptions and its proof. First means "
        f"first {esc(found.completeness)}."
    )
    return html.document(
        "Ledger",
        html.para(text),
        html.table("Methods by date", ("Method", "Date", "Brings", "What, and how it is known"), rows, "kb-filterable"),
        toc=False,
        describe="What each method was the first to use, among the catalogued ones.",
    )


def _lines(entry: Entry) -> list[str]:
    lines = [_first(first) for first in entry.first]
    if entry.kind == "new combination" and entry.nearest:
        near = "; ".join(
            f"{html.method(e.method)} ({e.year}) differs in {', '.join(map(_axis, e.axes))}" for e in entry.nearest[:2]
        )
        lines.append(f"first in its cell; nearest earlier {near}")
    lines += [_same(same) for same in entry.same]
    if entry.kind == "earlier cell" and not entry.same:
        lines.append(f"in the cell of {', '.join(map(html.method, entry.cell_of))}; nothing says how far they agree")
    if entry.unknown:
        lines.append(f"unknown: {', '.join(map(_axis, entry.unknown))}")
    return lines


def _axis(id: str) -> str:
    return link(html.anchored("axes", id), id)


def _first(first: First) -> str:
    also = f" (as {', '.join(map(html.method, first.also))}, of the same date)" if first.also else ""
    perhaps = f" (unless {', '.join(map(html.method, first.perhaps))}, unknown there)" if first.perhaps else ""
    return f"{_axis(first.axis)} = {html.value(first.axis, first.value)}{also}{perhaps}"


def _same(same: Same) -> str:
    what = "same method" if same.slot == "method" else f"same {same.slot}"
    up_to = f" up to {', '.join(map(_axis, same.up_to))}" if same.up_to else ""
    level = link(f"relations.html#level-{same.level}", same.level)
    return (
        f"{what} as {html.method(same.method)} ({same.year}){up_to}, at {level}; {html.badge(same.known)}: "
        f"{esc(same.proof)}; assuming {html.assumptions(same.assuming)}"
    )
