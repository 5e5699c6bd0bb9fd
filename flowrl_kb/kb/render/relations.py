"""All relations: classes at each level, proofs, certificates, claims, and what could not be told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flowrl_kb.kb.findings import findings
from flowrl_kb.kb.levels import LEVELS, MEANING, implied
from flowrl_kb.kb.relations import Fact, Proof, knowledge
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.evidence import figure
from flowrl_kb.kb.render.html import esc, link

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def page(kb: KB) -> str:
    """Return the page of all relations between catalogued methods and variants."""
    blocks = [
        html.para(
            "Two updates can agree more or less strongly. Equality is proved by rules; a certificate compares two "
            "updates numerically and can find them different. Agreement in numbers alone is not passed on from "
            "pair to pair."
        ),
        html.heading(2, "Levels and classes", "levels"),
        *(_level(kb, level) for level in LEVELS),
        html.heading(2, "Proved", "proved"),
        _facts(kb, "proved", ("Pair", "Level", "Rule", "Assuming"), _proved),
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
    return html.document("Relations", *blocks, describe="What is proved, certified, claimed and open.")


def _level(kb: KB, level: str) -> str:
    weaker = [one for one in LEVELS if one in implied(level) and one != level]
    follows = f" Implies {', '.join(link(f'relations.html#level-{w}', w) for w in weaker)}." if weaker else ""
    text = html.heading(3, level, f"level-{level}") + html.para(f"{esc(MEANING[level].capitalize())}.{follows}")
    if level == "limit":
        return text + html.para("Limits do not compose, so there are no classes at this level.")
    known = knowledge(kb)
    rows = []
    for members in known.classes(level):
        if len(members) > 1:
            first, *others = sorted(members)
            reached = known.equal_to(first, level)
            how = [_same(other, reached[other]) for other in others]
            rows.append((html.method(first), html.listing(how)))
    return text + (
        html.table(f"Classes at {level}", ("Representative", "Same at this level"), rows)
        if rows
        else html.para("No two methods are known to be the same at this level.")
    )


def _same(other: str, proof: Proof) -> str:
    by = ", ".join(filter(None, map(_source, proof.sources)))
    return f"{html.method(other)}: {html.badge(proof.kind)} {by}"


def _source(source: str) -> str:
    return "" if source == "certificate" else link(html.anchored("rules", source), source)


def _facts(kb: KB, kind: str, head: tuple[str, ...], cells: Callable[[Fact], tuple[str, ...]]) -> str:
    rows = [cells(f) for f in knowledge(kb).facts if f.kind == kind]
    return html.table(kind.capitalize(), head, rows) if rows else html.para("None.")


def _proved(fact: Fact) -> tuple[str, ...]:
    level = link(f"relations.html#level-{fact.level}", fact.level) + (f" ({esc(fact.limit)})" if fact.limit else "")
    about = "" if fact.about == "published" else "<br><small>about stripped cores</small>"
    return (
        f"{html.method(fact.a)}, {html.method(fact.b)}{about}",
        level,
        _source(fact.source),
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
        if c.method in kb.cards
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
            f.level,
            html.badge(badges[f.kind]),
            figure(f.worst_residual),
            figure(f.variance_ratio),
            esc(", ".join(f.assumptions)),
        )
        for f in knowledge(kb).facts
        if f.kind in badges
    ]
    head = ("One", "Other", "Level", "Verdict", "Worst residual", "Variance ratio", "Kept assumptions")
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
    kinds = (
        "undecided",
        "discovered equivalence",
        "cell too coarse",
        "assumption matters",
        "unknown coordinates",
    )
    rows = [(esc(f.kind), esc(f.subject), esc(f.detail)) for f in findings(kb) if f.kind in kinds]
    return (
        html.table("Open questions and surprises", ("Finding", "About", "Detail"), rows)
        if rows
        else html.para("Nothing is open.")
    )
