"""Maps: somebody else's taxonomy computed from our coordinates, beside the placements that were published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb import cells
from flowrl_kb.kb.evaluate import Condition
from flowrl_kb.kb.project import NO_PLACE, Compared, Placement, placements, shared
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc
from flowrl_kb.kb.schema import UNKNOWN, Projection

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

Places = dict[str, dict[str, Placement]]
PLACED = {
    "agrees": "as published",
    "differs": "published elsewhere",
    "unknown": "published, undecided here",
    "unplaced": "not in the published table",
}


def page(kb: KB, id: str) -> str:
    """Return the page of a projection: the table (for two functions), disagreements, definitions."""
    chart = kb.projections[id]
    places: Places = {}
    for placement in placements(kb, id):
        places.setdefault(placement.method, {})[placement.function] = placement
    listed = {row["method"] for row in chart.published}
    blocks = [
        html.para(
            f"The taxonomy of {esc(chart.source)}, computed from the coordinates of the cards. "
            "Nobody placed a method by hand; where the source printed a placement, it is compared. "
            + html.link("maps/index.html", "Other maps")
            + "."
        ),
        _legend(),
    ]
    if len(chart.functions) == 2:
        blocks.append(_matrix(kb, chart, places, listed))
    blocks += [
        html.heading(2, "Agreement with the source", "agreement"),
        _agreement(kb, chart, places, listed),
        _remarks(kb, chart),
        *_cells(kb, id),
        html.heading(2, "How a place is computed", "functions"),
        *(_function(kb, chart, function) for function in chart.functions),
    ]
    if len(chart.functions) == 2:
        blocks += [html.heading(2, "Empty cells", "empty"), _empty(kb, chart, places)]
    return html.document(chart.name, *blocks, toc=False, describe=f"{chart.source}, computed from coordinates.")


def index(kb: KB) -> str:
    """Return the list of all maps."""
    rows = []
    for id, chart in kb.projections.items():
        compared = [p for p in placements(kb, id) if p.agrees is not None]
        share = f"{sum(p.agrees for p in compared)} of {len(compared)}" if compared else "none printed"
        name = html.link(html.anchored("maps", id), chart.name)
        rows.append((name, esc(chart.source), esc(", ".join(chart.functions)), share))
    return html.document(
        "Maps",
        html.para(
            "Every map is somebody else's taxonomy, computed from the coordinates of the cards. Most ask one or two of "
            "the questions that are the axes here; where their authors placed a method, the placement is compared."
        ),
        html.table("Maps", ("Map", "Source", "Asks for", "Placements that agree"), rows),
        toc=False,
        describe="Other people's taxonomies as functions of ours.",
    )


def _legend() -> str:
    return html.para(" ".join(html.badge(kind, word) for kind, word in PLACED.items()), "kb-legend")


def _verdict(found: dict[str, Placement], listed: bool) -> str:
    if not listed:
        return "unplaced"
    if any(p.agrees is False for p in found.values()):
        return "differs"
    return "unknown" if any(p.published and p.computed == UNKNOWN for p in found.values()) else "agrees"


def _matrix(kb: KB, chart: Projection, places: Places, listed: set[str]) -> str:
    (down, rows), (across, columns) = chart.functions.items()
    heads = [c.value for c in columns]
    sides = [c.value for c in rows]
    at = {(m[down].computed, m[across].computed): [] for m in places.values()}
    for id, found in places.items():
        at[found[down].computed, found[across].computed].append(id)
    for extra in (NO_PLACE, UNKNOWN):
        heads += [extra] if any(c == extra for _, c in at) else []
        sides += [extra] if any(r == extra for r, _ in at) else []
    body = []
    for side in sides:
        line = [_title(down, side)]
        for head in heads:
            here = at.get((side, head), [])
            if here:
                line.append("<br>".join(_member(kb, id, places[id], id in listed) for id in here))
            else:
                line.append(_hole(kb, chart, side, head))
        body.append(line)
    return html.table(
        f"{chart.name}: {down} by {across}",
        (f"{down} \\ {across}", *(_title(across, h) for h in heads)),
        body,
        "kb-map",
        "map",
    )


def _title(function: str, value: str) -> str:
    if value == NO_PLACE:
        return f"none of the source's {esc(function)} values"
    if value == UNKNOWN:
        return "undecided"
    return html.link(f"#{function}-{value}", value).replace('href="@/#', 'href="#')


def _member(kb: KB, id: str, found: dict[str, Placement], listed: bool) -> str:
    kind = _verdict(found, listed)
    word = PLACED[kind]
    icon, _ = html.STATUS[kind]
    mark = f'<span class="kb-mark kb-{kind}" role="img" aria-label="{word}" title="{word}">{icon}</span>'
    return f"{mark} {html.link(html.anchored('methods', id), kb.cards[id].name)}"


def _hole(kb: KB, chart: Projection, side: str, head: str) -> str:
    if side in (NO_PLACE, UNKNOWN) or head in (NO_PLACE, UNKNOWN):
        return ""
    (down, _), (across, _) = chart.functions.items()
    _, kind, _ = _emptiness(kb, chart, side, head)
    target = f"#empty-{side}-{head}"
    return f'<a class="kb-hole" href="{target}">{kind}</a>'


def _emptiness(kb: KB, chart: Projection, side: str, head: str) -> tuple[str, str, str]:
    """Return the query of a cell, `impossible`, `not catalogued` or `undecided`, and the reason."""
    (_, rows), (_, columns) = chart.functions.items()
    row = next(c.if_ for c in rows if c.value == side)
    column = next(c.if_ for c in columns if c.value == head)
    text = f"({row}) & ({column})"
    condition = Condition(kb, text)
    found = cells.possible(kb, condition)
    if found is None:
        blame = cells.culprits(kb, condition)
        return text, "impossible", "; ".join(f"{c.because} (constraint {c.id})" for c in blame)
    if found is False or isinstance(found, bool):
        return text, "undecided", "the search for coordinates that satisfy every constraint was cut short"
    shown = ", ".join(f"{axis.id}={found[axis.id]}" for axis in kb.actor_axes if axis.id in found)
    return text, "not catalogued", f"no constraint forbids it; for example {shown}"


def _empty(kb: KB, chart: Projection, places: Places) -> str:
    (down, rows), (across, columns) = chart.functions.items()
    filled = {(m[down].computed, m[across].computed) for m in places.values()}
    body = []
    for row in rows:
        for column in columns:
            if (row.value, column.value) not in filled:
                text, kind, why = _emptiness(kb, chart, row.value, column.value)
                name = f'<span id="empty-{row.value}-{column.value}">{row.value}, {column.value}</span>'
                body.append((name, kind, esc(why), f"<code>{esc(text)}</code>"))
    if not body:
        return html.para("Every cell holds a method.")
    return html.table("Cells without a method", ("Cell", "Which kind", "Why", "Query"), body)


def _agreement(kb: KB, chart: Projection, places: Places, listed: set[str]) -> str:
    compared = [p for m in places.values() for p in m.values() if p.published is not None]
    agree = [p for p in compared if p.agrees]
    apart = [p for p in compared if p.agrees is False]
    absent = sorted(listed - kb.cards.keys())
    unlisted = sorted(kb.cards.keys() - listed)
    count = f"{len(agree)} of {len(compared)} published placements of catalogued methods"
    blocks = [html.para(f"{count} agree with the computed ones.")]
    rows = [
        (
            html.method(p.method),
            esc(p.function),
            esc(p.published),
            esc(_word(p.computed)),
            _because(kb, chart, p),
        )
        for p in apart
    ]
    if rows:
        blocks.append(
            html.table(
                "Placements that differ",
                ("Method", "Function", "Published", "Computed", "Coordinates that decide"),
                rows,
            )
        )
    if absent:
        blocks.append(html.para(f"Published, without a card here: {esc(', '.join(absent))}."))
    if unlisted:
        blocks.append(
            html.para("Computed here, not in the published table: " + ", ".join(map(html.method, unlisted)) + ".")
        )
    return "\n".join(blocks)


def _remarks(kb: KB, chart: Projection) -> str:
    rows = [
        (", ".join(map(html.method, r.methods)), esc(r.remark), ", ".join(_source(kb, id) for id in r.rests_on))
        for r in chart.remarks
    ]
    return html.table("Remarks", ("Methods", "Remark", "Rests on"), rows) if rows else ""


def _source(kb: KB, name: str) -> str:
    kind = "witnesses" if name in kb.witnesses else "rules" if name in kb.rules else None
    return html.link(html.anchored(kind, name), name) if kind else esc(name)


def _cells(kb: KB, id: str) -> list[str]:
    """What methods that the source puts into one cell have in common, for cells of several."""

    def pairs(found: list[Compared], state: str) -> str:
        here: dict[tuple[str, str], list[str]] = {}
        for pair in found:
            if pair.state == state:
                here.setdefault((pair.level, pair.source), []).append(f"{pair.a} ~ {pair.b}")
        because = lambda level, by: f": {level} ({_source(kb, by)})" if by else ""  # noqa: E731
        return "<br>".join(esc(", ".join(names)) + because(*why) for why, names in here.items())

    rows = [
        (esc(", ".join(cell)), pairs(found, "same"), pairs(found, "apart"), pairs(found, "open"))
        for cell, _, found in shared(kb, id)
    ]
    if not rows:
        return []
    head = ("Published cell", "Same target", "Different", "Not compared")
    table = html.table("Actors that share a published cell", head, rows)
    return [html.heading(2, "What one cell holds", "cells"), table]


def _word(value: str) -> str:
    return {NO_PLACE: "none of its values", UNKNOWN: "undecided"}.get(value, value)


def _because(kb: KB, chart: Projection, found: Placement) -> str:
    axes = dict.fromkeys(axis for c in chart.functions[found.function] for axis in Condition(kb, c.if_).axes)
    node = kb.nodes[found.method]
    return ", ".join(f"{esc(axis)} = {html.value(axis, node[axis])}" for axis in axes)


def _function(kb: KB, chart: Projection, function: str) -> str:
    rows = [
        (
            f'<span id="{function}-{c.value}">{esc(c.value)}</span>',
            f"<code>{esc(c.if_)}</code>",
            ", ".join(html.link(html.anchored("axes", a), kb.axes[a].name) for a in Condition(kb, c.if_).axes),
        )
        for c in chart.functions[function]
    ]
    return html.table(f"{function}: the first condition that holds decides", (function, "Condition", "Axes"), rows)
