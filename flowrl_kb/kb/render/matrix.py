"""The verdicts as a picture: methods by methods, the strongest level at which each pair agrees, or that it differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowrl_kb.kb.levels import CLASSED, UNGRADED
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc
from flowrl_kb.kb.schema import SLOTS
from flowrl_kb.kb.unsettled import comparable
from flowrl_kb.kb.whole import trained

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

CELL, LEFT, RIGHT = 24, 108, 104
MARKS = {
    "same-loss": ("L", "same loss"),
    "same-update": ("U", "same update"),
    "same-update-at-old": ("O", "same update at the previous policy"),
    "same-target-field": ("T", "same target field"),
    "same-executed-law": ("E", "same executed law"),
    "different": ("\u2260", "different, equal at no level"),
    "undecided": ("?", "undecided"),
    "not-compared": ("\u00b7", "not compared"),
    "not-comparable": ("", "not comparable: other kinds of policy"),
}


class Cell(NamedTuple):
    kind: str
    words: str


def cell(kb: KB, a: Node, b: Node, slot: str) -> Cell:
    """Return the strongest agreement of a pair in a slot, else its difference, else why neither is known."""
    known = knowledge(kb)
    equal = next((x for x in CLASSED if b.id in known.equal_to(a.id, x, slot)), None)
    apart = [x for x in CLASSED if known.refutation(a.id, b.id, x, slot)]
    different = f"different at {apart[-1]}" if apart else ""
    if equal:
        how = known.equal_to(a.id, equal, slot)[b.id].kind
        if slot in UNGRADED:  # compared by the moments of executed actions, which is no proof of the same loss
            return Cell("same-update", f"{how} equal in the moments of executed actions")
        words = f"{how} equal at {equal}"
        return Cell(equal, f"{words}; {different}" if different else words)
    if apart:
        return Cell("different", different)
    if any(f.kind == "undecided" for f in known.between(a.id, b.id, slot)):
        return Cell("undecided", "certificate undecided")
    return Cell("not-compared", "not compared") if comparable(a, b, slot) else Cell("not-comparable", "not comparable")


def pictures(kb: KB) -> str:
    """Return one matrix for the actor and for every other slot with facts, the latter folded."""
    known = knowledge(kb)
    seen = {f.slot for f in known.facts if f.kind != "declared"} | {s.slot for s in known.separated}
    first = picture(kb, "actor")
    return first + "".join(
        html.folded(f"The same picture for the slot {slot}", picture(kb, slot)) for slot in SLOTS[1:] if slot in seen
    )


def picture(kb: KB, slot: str) -> str:
    """Return the lower triangle of the matrix as SVG, with a legend of the marks that occur."""
    cards = sorted(kb.cards.values(), key=lambda c: (c.date, c.id))
    nodes = [kb.nodes[c.id] for c in cards if slot in trained(kb, kb.nodes[c.id])]
    if len(nodes) < 2:
        return html.para("Fewer than two methods have this slot.")
    lines, used = [], set()
    for i, one in enumerate(nodes):
        y = i * CELL
        label = html.link(html.anchored("methods", one.id), one.id).replace("<a ", '<a class="kb-label" ')
        text = f'<text x="{LEFT - 6}" y="{y + CELL / 2}" text-anchor="end">{one.id}</text>'
        lines.append(label.replace(f">{one.id}<", f">{text}<"))
        for j, other in enumerate(nodes[:i]):
            found = cell(kb, one, other, slot)
            used.add(found.kind)
            lines.append(_square(LEFT + j * CELL, y, found, f"{one.id} and {other.id}, {slot}: {found.words}"))
        lines.append(f'<text x="{LEFT + i * CELL + 5}" y="{y + CELL / 2}">{one.id}</text>')
    width, height = LEFT + len(nodes) * CELL + RIGHT, len(nodes) * CELL
    name = f"Verdicts on pairs of methods, {slot}"
    svg = (
        f'<svg class="kb-matrix" role="img" aria-label="{esc(name)}; the tables below hold the same verdicts" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n' + "\n".join(lines) + "\n</svg>"
    )
    legend = "".join(f"<li>{_swatch(kind)} {esc(words)}</li>" for kind, (_, words) in MARKS.items() if kind in used)
    return (
        f'<figure><div class="kb-scroll" tabindex="0" role="region" aria-label="{esc(name)}">\n{svg}\n</div>\n'
        f'<ul class="kb-matrix-legend" aria-label="Marks">{legend}</ul>\n'
        f"<figcaption>{esc(name)}, oldest first; a square names its pair when pointed at.</figcaption></figure>\n"
    )


def _square(x: float, y: float, found: Cell, words: str) -> str:
    mark = MARKS[found.kind][0]
    middle = CELL / 2
    return (
        f'<g class="kb-cell kb-cell-{found.kind}"><title>{esc(words)}</title>'
        f'<rect x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}"/>'
        f'<text x="{x + middle}" y="{y + middle}" text-anchor="middle">{mark}</text></g>'
    )


def _swatch(kind: str) -> str:
    square = _square(0, 0, Cell(kind, ""), MARKS[kind][1])
    return f'<svg class="kb-matrix" aria-hidden="true" width="{CELL}" height="{CELL}">{square}</svg>'
