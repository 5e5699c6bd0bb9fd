"""Pages of witnesses: small problems on which named pairs differ, with the figure that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb.facts import Separated
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.render import html, rule
from flowrl_kb.kb.render.html import esc, link
from flowrl_kb.kb.render.rule import derivation, figure
from flowrl_kb.kb.statements import Witness

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def index(kb: KB) -> str:
    """Return the list of all witnesses."""
    text = (
        "A witness is a small seeded problem on which the updates, or the executed actions, of certain methods differ "
        "by a measured figure. One witness refutes every pair that it names, at its level and at all stronger ones. A "
        "witness without a figure refutes nothing."
    )
    return html.document(
        "Witnesses",
        html.para(text),
        table(kb),
        crumbs=[("relations.html", "Relations")],
        toc=False,
        describe="Small problems that tell methods apart.",
    )


def table(kb: KB) -> str:
    """Return one row for each witness: what it separates, and its figure."""
    rows = [
        (
            link(html.anchored("witnesses", w.id), w.name),
            "; ".join(dict.fromkeys(f"{s.slot} at {s.level}" for s in w.separates)),
            str(len(pairs(kb, w))),
            state(kb, w),
        )
        for w in kb.witnesses.values()
    ]
    if not rows:
        return html.para(f"No {link('witnesses/index.html', 'witness')} has been written yet.")
    return html.table("Witnesses", ("Witness", "Refutes", "Pairs", "Figure"), rows)


def page(kb: KB, id: str) -> str:
    """Return the page of one witness: problem, measure, figure, and the pairs that it separates."""
    witness = kb.witnesses[id]
    facts = [
        ("Measure", esc(witness.measure)),
        ("Figure", state(kb, witness)),
        ("Negative control", esc(witness.control or "none")),
        ("Replayed by", f"<code>{esc(witness.certificate)}</code>"),
        ("References", esc("; ".join(witness.references) or "none")),
    ]
    entries = [
        (f"<code>{esc(s.a)}</code>", f"<code>{esc(s.b)}</code>", s.slot, rule.level(s.level)) for s in witness.separates
    ]
    found = [(f"{html.method(a)}, {html.method(b)}", slot, level) for a, b, slot, level in pairs(kb, witness)]
    blocks = [
        derivation(witness.statement) + "\n",
        html.facts(f"About the witness {witness.name}", facts),
        html.heading(2, "Problem", "problem"),
        derivation(witness.problem) + "\n",
        html.heading(2, "What it separates", "separates"),
        html.table("Conditions", ("One method has", "The other has", "Slot", "Level"), entries),
        html.table("Pairs of methods", ("Pair", "Slot", "Different at"), found)
        if found
        else html.para("No pair of catalogued methods is refuted by it now."),
    ]
    return html.document(
        witness.name,
        *blocks,
        crumbs=[("relations.html", "Relations"), ("witnesses/index.html", "Witnesses")],
        describe=witness.name,
    )


def pairs(kb: KB, witness: Witness) -> list[tuple[str, str, str, str]]:
    """Return the pairs of methods (variants left out) that a measured witness refutes, with slot and level."""

    def of(entry: Separated) -> list[tuple[str, str]]:
        cards = list(kb.cards)
        return [(a, b) for i, a in enumerate(cards) for b in cards[i + 1 :] if entry.covers(a, b)]

    entries = [s for s in knowledge(kb).separated if s.witness == witness.id]
    return [(a, b, s.slot, s.level) for s in entries for a, b in of(s)]


def state(kb: KB, witness: Witness) -> str:
    """Return the figure of a witness against what it must reach, and that of its control."""
    run = next((r for r in kb.verdicts.witnesses if r.id == witness.id), None)
    if run is None:
        return html.badge("unknown", "not measured")
    word = html.badge("passed" if run.passed else "failed")
    return f"{word} {figure(run.figure)}, at least {figure(witness.at_least)}; control {figure(run.control_figure)}"
