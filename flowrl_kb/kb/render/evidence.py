"""What certificates and proofs say about one method, and what they leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb import verdicts
from flowrl_kb.kb.levels import LEVELS
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.relate import Link, links_between
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link
from flowrl_kb.kb.schema import SLOTS, Card

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


def certificates(kb: KB, card: Card) -> str:
    """Return published against composed for each slot, and which coordinates bear load."""
    found = [c for c in kb.verdicts.certificates if c.method == card.id]
    if not found:
        return html.para("None yet: no coordinate of this card counts as tested.")
    blocks = []
    if card.id in verdicts.stale(kb.verdicts, kb.cards):
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
    return ", ".join(
        f"{key} {figure(value) if isinstance(value, float) else value}" for key, value in control.items()
    )


def relations(kb: KB, node: Node) -> str:
    """Return what is proved, certified or claimed about this method and its variants."""
    known, rows = knowledge(kb), []
    for own in (n for n in kb.nodes.values() if n.card is node.card):
        others = {f.other(own.id) for f in known.facts if own.id in (f.a, f.b)}
        for at in LEVELS:
            others |= known.proofs(own.id, at).keys()
        for other in sorted(others):
            if kb.nodes[other].card is node.card and other < own.id:
                continue
            rows += [_row(own.id, other, one) for one in links_between(known, own.id, other)]
    claims = [r for r in node.card.relations if r.to not in kb.nodes]
    rows += [
        (
            node.id,
            esc(r.to) + " (no card yet)",
            link(f"relations.html#level-{r.level}", r.level) if r.level else esc(r.kind),
            html.badge("declared"),
            esc(f"{r.condition}; {r.evidence}" if r.condition else r.evidence),
        )
        for r in claims
    ]
    if not rows:
        return html.para("No proof, certificate or claim relates this method to another.")
    return html.table("Relations", ("This", "Other", "Level", "How known", "By and assuming"), rows)


def _row(own: str, other: str, found: Link) -> tuple[str, ...]:
    level = (
        link(f"relations.html#level-{found.level}", found.level)
        if found.level in LEVELS
        else esc(found.level)
    )
    return (html.method(own), html.method(other), level, html.badge(found.kind), because(found))


def because(found: Link) -> str:
    """Return rules (linked), limits, assumptions and figures of one relation."""
    parts = []
    for fact in found.proof.facts:
        if fact.kind == "proved":
            parts.append(
                link(html.anchored("rules", fact.source), fact.source)
                + (f" ({esc(fact.limit)})" if fact.limit else "")
            )
        elif fact.worst_residual is not None:
            parts.append(f"worst residual {figure(fact.worst_residual)}")
    if found.variance_ratio is not None:
        parts.append(f"variance ratio {figure(found.variance_ratio)}")
    text = ", ".join(parts)
    return text + (html.listing(map(esc, found.assumptions)) if found.assumptions else "")


def gaps(kb: KB, node: Node) -> str:
    """Return what no certificate of this method covers."""
    slots = {c.slot for c in kb.verdicts.certificates if c.method == node.card.id}
    missing = [slot for slot in SLOTS if slot not in slots]
    items = list(NOT_COMPARED)
    if missing:
        items.append(f"slots without a certificate: {', '.join(missing)}")
    unknown = node.unknown(kb.axes)
    if unknown:
        items.append("coordinates that nobody has determined: " + ", ".join(unknown))
    if not any(law.method == node.card.id for law in kb.verdicts.laws):
        items.append("the law that training reaches")
    return html.listing(map(esc, items))
