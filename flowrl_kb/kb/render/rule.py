"""Pages of rules: what is proved, for whom, under which assumptions, how, and how the proof is guarded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowrl_kb.kb.levels import MEANING
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link
from flowrl_kb.kb.statements import Rule

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

_DISPLAY = re.compile(r"\s*\$\$(.+?)\$\$[ \t]*\n?", re.DOTALL)


def index(kb: KB) -> str:
    """Return the list of all rules."""
    rows = [
        (link(html.anchored("rules", r.id), r.name), level(r.level), r.slot, pairs(kb, r), guard(kb, r))
        for r in kb.rules.values()
    ]
    listed = (
        html.table("Rules", ("Rule", "Level", "Slot", "Catalogued pairs", "Guard"), rows)
        if rows
        else html.para("No rule has been written yet.")
    )
    text = (
        "A rule proves that every two methods with certain coordinates are the same at a level. It states its "
        "assumptions, and a numerical identity with a control that must fail guards it."
    )
    return html.document("Rules", html.para(text), listed, toc=False, describe="Proved relations between cells.")


def page(kb: KB, id: str) -> str:
    """Return the page of one rule with its derivation."""
    rule = kb.rules[id]
    facts = [
        ("Level", f"{level(rule.level)}: {esc(MEANING[rule.level])}"),
        ("Slot", rule.slot),
        ("About", "methods as published" if rule.about == "published" else "stripped cores"),
        ("Holds between", f"<code>{esc(rule.between.a)}</code>"),
        ("and", f"<code>{esc(rule.between.b)}</code>"),
        (
            "Other actor axes",
            "equal, except " + ", ".join(link(html.anchored("axes", a), a) for a in rule.free)
            if rule.free
            else "all equal",
        ),
        ("Assuming", html.listing(map(esc, rule.assumptions)) if rule.assumptions else "nothing"),
    ]
    if rule.limit:
        facts.append(("Limit", esc(rule.limit)))
    facts += [
        ("Guard", guard(kb, rule)),
        ("Negative control", esc(rule.control or "none")),
        ("References", esc("; ".join(rule.references) or "none")),
    ]
    found = [f for f in knowledge(kb).facts if f.kind == "proved" and f.source == id]
    rows = [
        (
            f"{html.method(f.a)}, {html.method(f.b)}",
            html.listing(map(esc, f.assumptions[len(rule.assumptions) :])) or "none",
        )
        for f in found
    ]
    blocks = [
        statement(rule),
        html.facts(f"About the rule {rule.name}", facts),
        html.heading(2, "Derivation", "derivation"),
        derivation(rule.derivation),
        html.heading(2, "Pairs it relates", "pairs"),
        html.table("Pairs", ("Pair", "Further assumptions (conditional axes that differ)"), rows)
        if rows
        else html.para("No catalogued pair."),
    ]
    return html.document(rule.name, *blocks, crumbs=[("rules/index.html", "Rules")], describe=rule.name)


def level(id: str) -> str:
    return link(f"relations.html#level-{id}", id, MEANING[id])


def pairs(kb: KB, rule: Rule) -> str:
    return str(sum(f.kind == "proved" and f.source == rule.id for f in knowledge(kb).facts))


def statement(rule: Rule) -> str:
    """Return the statement: a formula when it is LaTeX, else a sentence (with formulas between dollars)."""
    if "$" in rule.statement or "\\" not in rule.statement:
        return rule.statement + "\n"
    return html.display(rule.statement)


def derivation(text: str) -> str:
    """Return Markdown in which every displayed formula stands in its own block."""
    return _DISPLAY.sub(lambda m: f"\n\n$$\n{m[1].strip()}\n$$\n\n", text)


def guard(kb: KB, rule: Rule) -> str:
    """Return what the numerical guard of a rule found."""
    if rule.certificate is None:
        return "none"
    run = next((i for i in kb.verdicts.identities if i.id == rule.certificate), None)
    if run is None:
        return html.badge("unknown", "not run")
    word = html.badge("passed" if run.passed else "failed")
    return f"{word} error {figure(run.error)}, control {figure(run.control_error)}"


def figure(number: float | None) -> str:
    return "not recorded" if number is None else f"{number:.3g}"
