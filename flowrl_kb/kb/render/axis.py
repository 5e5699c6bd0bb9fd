"""Pages of axes: each value with its definition, decision test, formula, and the methods that take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb import code
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link, math
from flowrl_kb.kb.schema import NOT_APPLICABLE, UNKNOWN, Axis, Value

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

KINDS = {
    "mechanism": "Always part of what the method is.",
    "conditional": "Cosmetic under a stated condition, part of the mechanism otherwise.",
}


def index(kb: KB) -> str:
    """Return the list of all axes by kind, with the number of methods at each value."""
    blocks = [
        html.para(
            "An axis asks one question about an update and lists the answers that exclude each other. "
            "A cell is one answer on each mechanism axis of the actor."
        )
    ]
    for kind, meaning in KINDS.items():
        rows = []
        for axis in kb.axes.values():
            if axis.kind == kind:
                values = " ".join(_counted(kb, axis, v) for v in axis.values)
                name = link(html.anchored("axes", axis.id), axis.name)
                rows.append((name, esc(axis.question), axis.slot, values))
        blocks += [
            html.heading(2, f"{kind.capitalize()} axes", kind),
            html.para(esc(meaning)),
            html.table(f"{kind.capitalize()} axes", ("Axis", "Question", "Slot", "Values with methods"), rows),
        ]
    return html.document("Axes", *blocks, toc=False, describe="The questions that classify an actor update.")


def _counted(kb: KB, axis: Axis, found: Value) -> str:
    return f'<span class="kb-count">{html.value(axis.id, found.id)} {len(takers(kb, axis.id, found.id))}</span>'


def page(kb: KB, id: str) -> str:
    """Return the page of one axis; each value is an anchor `#VALUE`."""
    axis = kb.axes[id]
    blocks = [
        html.para(esc(axis.question), "kb-lead"),
        _facts(kb, axis),
        html.heading(2, "Distribution", "distribution"),
        _bars(kb, axis),
    ]
    blocks.append(html.heading(2, "Values", "values"))
    for found in axis.values:
        blocks += [html.heading(3, found.id, found.id), _value(kb, axis, found)]
        if part := code.part(id, found.id):
            file = f"flowrl_kb/parts/{id.replace('-', '_')}.py"
            source = html.fence("python", part.source, file, part.line)
            blocks.append(html.folded("Executable part", source, markdown=True))
    blocks += [html.heading(2, "Constraints that name this axis", "constraints"), _constraints(kb, id)]
    return html.document(axis.name, *blocks, crumbs=[("axes/index.html", "Axes")], describe=axis.question)


def takers(kb: KB, axis: str, value: str) -> list[str]:
    """Return the methods (without variants) at one value."""
    return [node.id for node in kb.nodes.values() if node.variant is None and node[axis] == value]


def _facts(kb: KB, axis: Axis) -> str:
    facts = [
        ("Id", f"<code>{axis.id}</code>"),
        ("Kind", f"{axis.kind}: {KINDS[axis.kind]}"),
        ("Slot", axis.slot),
    ]
    if axis.kind == "conditional":
        facts += [("Cosmetic when", esc(axis.cosmetic_when)), ("Mechanism when", esc(axis.mechanism_when))]
    path, line = kb.place("axis", axis.id)
    facts.append(("Written in", f"<code>{path}</code>"))
    return html.facts(f"About the axis {axis.name}", facts)


def _bars(kb: KB, axis: Axis) -> str:
    """Return methods over values; the bar repeats the number beside it."""
    rows = []
    total = max(1, len(kb.cards))
    for id in (*(v.id for v in axis.values), UNKNOWN, NOT_APPLICABLE):
        who = takers(kb, axis.id, id)
        if who or axis.value(id):
            share = f"--share:{len(who) / total:.3f}"
            bar = f'<span class="kb-bar" style="{share}" aria-hidden="true"></span> {len(who)}'
            rows.append((html.value(axis.id, id), bar, ", ".join(map(html.method, who)) or "none"))
    return html.table(f"Methods over the values of {axis.name}", ("Value", "Methods", "Which"), rows)


def _value(kb: KB, axis: Axis, found: Value) -> str:
    facts = [("Definition", esc(found.definition)), ("Decision test", esc(found.test))]
    if found.formula:
        facts.append(("Formula", math(found.formula)))
    if found.synonyms:
        facts.append(("Also called", esc(", ".join(found.synonyms))))
    if found.not_to_be_confused_with:
        facts.append(
            (
                "Not to be confused with",
                "<br>".join(
                    f"{html.value(axis.id, other)}: {esc(why)}" for other, why in found.not_to_be_confused_with.items()
                ),
            )
        )
    who = takers(kb, axis.id, found.id)
    facts.append(("Methods", ", ".join(map(html.method, who)) or "none catalogued"))
    variants = [
        n.id for n in kb.nodes.values() if n.variant and axis.id in n.variant.coordinates and n[axis.id] == found.id
    ]
    if variants:
        facts.append(("Variants that change to it", ", ".join(map(html.method, variants))))
    return html.facts(f"The value {found.id}", facts)


def _constraints(kb: KB, axis: str) -> str:
    from flowrl_kb.kb.cells import constraints

    rows = [
        (
            f'<span id="constraint-{c.constraint.id}"><code>{c.constraint.id}</code></span>',
            f"<code>{esc(c.constraint.if_)}</code>",
            f"<code>{esc(c.constraint.then)}</code>",
            esc(c.constraint.because),
        )
        for c in constraints(kb)
        if axis in c.axes
    ]
    if not rows:
        return html.para("None.")
    return html.table("Constraints", ("Id", "If", "Then", "Because"), rows)
