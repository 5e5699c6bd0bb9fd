"""All relations: verdicts at a glance, classes, proofs, certificates, witnesses, claims, and what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb.answers import KINDS
from flowrl_kb.kb.facts import Fact
from flowrl_kb.kb.findings import findings, first
from flowrl_kb.kb.reduction import shown
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.render import html, matrix, witness
from flowrl_kb.kb.render.evidence import figure
from flowrl_kb.kb.render.html import esc, link
from flowrl_kb.kb.render.levels import levels, source

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def page(kb: KB) -> str:
    """Return the page of all relations between catalogued methods and variants."""
    blocks = [
        html.para(
            "Two updates can agree more or less strongly. Equality is proved by rules; a certificate compares two "
            "updates numerically and can find them different; a witness is one small problem that tells many pairs "
            "apart. Agreement in numbers alone is not passed on from pair to pair."
        ),
        html.heading(2, "At a glance", "matrix"),
        matrix.pictures(kb),
        html.heading(2, "Levels and classes", "levels"),
        levels(kb),
        html.heading(2, "Proved", "proved"),
        _proofs(kb),
        html.heading(2, "Refuted by witnesses", "witnesses"),
        witness.table(kb),
        html.heading(2, "Certificates", "certificates"),
        _certificates(kb),
        html.heading(2, "Certified pairs", "certified"),
        _pairs(kb),
        html.heading(2, "Claimed, not proved", "claimed"),
        _claims(kb),
        html.heading(2, "Not separated", "not-separated"),
        _mutations(kb),
        html.heading(2, "Open", "open"),
        _open(kb),
    ]
    return html.document("Relations", *blocks, describe="What is proved, certified, refuted, claimed and open.")


def _proofs(kb: KB) -> str:
    """Return the proved facts of the transitive reduction."""
    known = knowledge(kb)
    every = [f for f in known.facts if f.kind == "proved"]
    rows = [_proved(f) for f in shown(known) if f.kind == "proved"]
    if not rows:
        return html.para("None.")
    left_out = len(every) - len(rows)
    note = f"{left_out} further proved pairs follow from these under no other assumptions and are not listed."
    return html.table("Proved", ("Pair", "Slot", "Level", "Rule", "Assuming"), rows) + (
        html.para(note) if left_out else ""
    )


def _proved(fact: Fact) -> tuple[str, ...]:
    level = link(f"relations.html#level-{fact.level}", fact.level) + (f" ({esc(fact.limit)})" if fact.limit else "")
    about = "" if fact.about == "published" else f"<br><small>{KINDS[fact.about]}</small>"
    return (
        f"{html.method(fact.a)}, {html.method(fact.b)}{about}",
        fact.slot,
        level,
        source(fact.source),
        html.assumptions(fact.assumptions),
    )


def _certificates(kb: KB) -> str:
    rows = [
        (
            html.method(c.method),
            c.slot,
            c.level,
            html.badge(c.verdict),
            figure(c.worst_residual),
            figure(c.margin),
        )
        for c in kb.verdicts.certificates
        if c.method in kb.nodes
    ]
    if not rows:
        return html.para("No certificate has been written yet: run <code>flowrl-kb certify --write</code>.")
    return html.table(
        "Published losses against composed cells",
        ("Method", "Slot", "Level", "Verdict", "Worst residual", "Margin"),
        rows,
        "kb-sortable",
    )


def _pairs(kb: KB) -> str:
    badges = {"certified": "equal", "refuted": "different", "undecided": "undecided"}
    rows = [
        (
            html.method(f.a),
            html.method(f.b),
            KINDS[f.about],
            f.slot,
            f.level + (f" ({esc(f.limit)})" if f.limit else ""),
            html.badge(badges[f.kind]),
            figure(f.worst_residual),
            esc(f.where or ""),
            figure(f.variance_ratio),
            esc(", ".join(f.assumptions)),
        )
        for f in knowledge(kb).facts
        if f.kind in badges
    ]
    head = ("One", "Other", "About", "Slot", "Level", "Verdict", "Worst residual", "Where", "Variance ratio", "Kept")
    return html.table("Pairs compared numerically", head, rows, "kb-sortable") if rows else html.para("None.")


def _claims(kb: KB) -> str:
    rows = []
    for card in kb.cards.values():
        for claim in card.relations:
            known = claim.to in kb.nodes
            other = html.method(claim.to) if known else f"{esc(claim.to)} (no card yet)"
            level = claim.level or ""
            proof = known and level and claim.to in knowledge(kb).proofs(card.id, level)
            state = html.badge("proved") if proof else html.badge("declared", "claimed")
            rows.append(
                (
                    html.method(card.id),
                    esc(claim.kind.replace("-", " ")),
                    other,
                    level,
                    state,
                    esc(claim.condition),
                    esc(claim.evidence),
                )
            )
    head = ("Method", "Claim", "Other", "Level", "State", "Condition", "Evidence")
    return html.table("Relations that cards declare", head, rows) if rows else html.para("None.")


def _mutations(kb: KB) -> str:
    rows = [
        (
            html.method(m.method),
            link(html.anchored("axes", m.axis), m.axis),
            html.value(m.axis, m.from_),
            html.value(m.axis, m.to),
            html.badge(m.verdict),
            figure(m.worst_residual),
        )
        for m in kb.verdicts.mutations
        if m.verdict != "different" and m.method in kb.cards
    ]
    text = html.para(
        "Coordinates that could be changed without the certificate noticing: either the axis does not matter for "
        "this method, or the test is too weak."
    )
    head = ("Method", "Axis", "Value", "Also passes with", "Verdict", "Worst residual")
    return text + (html.table("Not separated", head, rows) if rows else html.para("None recorded."))


def _open(kb: KB) -> str:
    found, more = first([f for f in findings(kb) if f.kind != "not-separated"], 20)
    if not found:
        return html.para("Nothing is open.")
    rows = [(esc(f.kind), esc(f.subject), esc(f.detail), esc(f.reason)) for f in found]
    head = ("Finding", "About", "Detail", "Stays open because")
    cut = "; ".join(f"{count} of kind {kind}" for kind, count in more.items())
    note = f" Not listed: {cut} (<code>flowrl-kb open --all</code>)." if more else ""
    text = "What settles most comes first: each open pair counts what else its equality would decide."
    return html.para(text + note) + html.table("Open questions and surprises", head, rows)
