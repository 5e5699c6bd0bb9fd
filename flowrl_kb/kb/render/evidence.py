"""What certificates and proofs say about one method, and what they leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb.answers import KINDS
from flowrl_kb.kb.levels import LEVELS
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.relate import Link, links_between
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link
from flowrl_kb.kb.schema import SLOTS, Card
from flowrl_kb.kb.verdicts import Stationarity
from flowrl_kb.kb.whole import trained

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

NOT_COMPARED = (
    "the optimiser, its learning rate and its momentum",
    "averaged (EMA) parameters and target networks",
    "finite network capacity",
    "the error of a learned critic: laboratories give exact ones",
)


def figure(number: float | None) -> str:
    return "not recorded" if number is None else f"{number:.3g}"


def _at_rest(found: Stationarity) -> str:
    """Say whether the loss rests at the predicted field, and how its bias falls with the number of candidates."""
    bias = ""
    if found.candidates:
        steps = ", ".join(f"{figure(r)} at {k}" for k, r in found.candidates.items())
        bias = f" in the limit of infinitely many candidates (residual {steps})"
    control = figure(found.control["worst_residual"]) if found.control else "none"
    return html.para(
        f"The published {found.slot} loss is {html.badge(found.verdict)} at the {esc(found.field)}{esc(bias)}: "
        f"residual {figure(found.worst_residual)}, margin {figure(found.margin)}; at a wrong one {control}."
    )


def certificates(kb: KB, card: Card) -> str:
    """Return published against composed for each slot, and which coordinates bear load."""
    found = [c for c in kb.verdicts.certificates if c.method == card.id]
    if not found:
        return html.para("None yet: no coordinate of this card counts as tested.")
    blocks = []
    if card.id in kb.stale:
        blocks.append(html.para(html.badge("stale") + " The card changed after these were made."))
    rows = [
        (
            c.slot,
            link(f"relations.html#level-{c.level}", c.level),
            html.badge(c.verdict),
            figure(c.worst_residual),
            figure(c.margin),
            esc(_control(c.control)),
        )
        for c in found
    ]
    blocks.append(
        html.table(
            "Published losses against the composed cell",
            ("Slot", "Level", "Verdict", "Worst residual", "Margin", "Negative control"),
            rows,
        )
    )
    coded = [c for c in kb.verdicts.certificates if c.method.startswith(f"{card.id}:")]
    if coded:
        rows = [
            (html.method(c.method), c.slot, c.level, html.badge(c.verdict), figure(c.worst_residual), figure(c.margin))
            for c in coded
        ]
        head = ("Variant", "Slot", "Level", "Verdict", "Worst residual", "Margin")
        blocks.append(html.table("Variants with losses of their own against their composed cells", head, rows))
    blocks += [_at_rest(one) for one in kb.verdicts.stationarity if one.method == card.id]
    tried = [m for m in kb.verdicts.mutations if m.method == card.id]
    rows = [
        (
            link(html.anchored("axes", m.axis), m.axis),
            html.value(m.axis, m.from_),
            html.value(m.axis, m.to),
            html.badge(m.verdict),
            figure(m.worst_residual),
        )
        for m in tried
    ]
    if rows:
        blocks.append(
            html.table(
                "The same comparison with one coordinate changed",
                ("Axis", "From", "To", "Verdict", "Worst residual"),
                rows,
                "kb-sortable",
            )
        )
    return "\n".join(blocks)


def _control(control: dict | None) -> str:
    if not control:
        return "not recorded"
    return f"{control['what']}: {control['verdict']}, {figure(control['worst_residual'])}"


def relations(kb: KB, node: Node) -> str:
    """Return what is proved, certified or claimed about this method and its variants."""
    own = _rows(kb, node)
    for claim in node.card.relations:
        if claim.to not in kb.nodes:
            level = (
                link(f"relations.html#level-{claim.level}", claim.level)
                if claim.level
                else esc(claim.kind.replace("-", " "))
            )
            reason = esc("; ".join(filter(None, (claim.condition, claim.evidence))))
            own.append((node.id, f"{esc(claim.to)} (no card yet)", "actor", level, html.badge("declared"), reason))
    variants = [row for n in kb.nodes.values() if n.card is node.card and n.variant for row in _rows(kb, n)]
    head = ("This", "Other", "Slot", "Level", "How known", "By and assuming")
    apart = [row for row in own if row[4] == html.badge("refuted")]
    other = [row for row in own if row[4] != html.badge("refuted")]
    text = html.table("Relations", head, other) if other else html.para("Nothing is known to be the same method.")
    if apart:
        listed = html.table("Measured different", head, apart, "kb-sortable")
        text += html.folded(f"Measured different ({len(apart)})", listed)
    if variants:
        listed = html.table("Relations of variants", head, variants)
        text += html.folded(f"Relations of its variants ({len(variants)})", listed)
    return text


def _rows(kb: KB, node: Node) -> list[tuple[str, ...]]:
    """Return what is known between one node and the nodes of other cards."""
    known = knowledge(kb)
    return [
        _row(node.id, other, one)
        for other in sorted(known.related(node.id))
        if kb.nodes[other].card is not node.card
        for one in links_between(known, node.id, other)
    ]


def _row(own: str, other: str, found: Link) -> tuple[str, ...]:
    level = esc(found.level.replace("-", " "))  # a claim may name a kind, such as differs-in, and no level
    if found.level in LEVELS:
        level = link(f"relations.html#level-{found.level}", found.level)
    about = "" if found.proof.about == "published" else f"<br><small>{KINDS[found.proof.about]}</small>"
    return (html.method(own), html.method(other) + about, found.slot, level, html.badge(found.kind), because(found))


def because(found: Link) -> str:
    """Return rules (linked), limits, assumptions and figures of one relation."""
    parts = []
    for fact in found.proof.facts:
        if fact.kind == "proved":
            parts.append(
                link(html.anchored("rules", fact.source), fact.source) + (f" ({esc(fact.limit)})" if fact.limit else "")
            )
        elif fact.kind == "declared":
            parts.append(f"says the card of {html.method(fact.a)}")
        elif fact.is_witness:
            parts.append(f"{witness(fact.source)}, figure {figure(fact.figure)}, at least {figure(fact.at_least)}")
        elif fact.worst_residual is not None:
            where = f" in {esc(fact.where)}" if fact.where else ""
            parts.append(f"worst residual {figure(fact.worst_residual)}{where}")
    if found.variance_ratio is not None:
        parts.append(f"variance ratio {figure(found.variance_ratio)}")
    text = ", ".join(parts)
    if not found.assumptions:
        return text
    joint = ": " if text and len(found.assumptions) == 1 else " "
    return text + joint + html.assumptions(found.assumptions)


def witness(id: str) -> str:
    return "witness " + link(html.anchored("witnesses", id), id)


def gaps(kb: KB, node: Node) -> str:
    """Return what no certificate of this method covers."""
    slots = {c.slot for c in kb.verdicts.certificates if c.method == node.card.id}
    missing = [slot for slot in SLOTS if slot in trained(kb, node) - slots]
    items = list(NOT_COMPARED)
    if missing:
        items.append(f"slots without a certificate: {', '.join(missing)}")
    unknown = node.unknown(kb.axes)
    if unknown:
        items.append("coordinates that nobody has determined: " + ", ".join(unknown))
    if not any(law.method == node.card.id for law in kb.verdicts.laws):
        items.append("the law that training reaches")
    return html.listing(map(esc, items))
