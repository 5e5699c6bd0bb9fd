"""Screens of axes, rules and projections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.errors import unknown
from flowrl_kb.kb import code
from flowrl_kb.kb.project import placements, shared
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.terminal import heading, table, wrapped

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def axes(kb: KB) -> None:
    """Print all axes with their values."""
    rows = [(a.id, a.kind, a.question, ", ".join(v.id for v in a.values)) for a in kb.axes.values()]
    table(("axis", "kind", "question", "values"), rows)


def axis(kb: KB, id: str) -> None:
    """Print one axis: each value with its definition, its test and who takes it."""
    if id not in kb.axes:
        raise unknown("axis", id, kb.axes)
    found = kb.axes[id]
    heading(f"{found.id} ({found.kind}): {found.question}")
    if found.cosmetic_when:
        wrapped(f"cosmetic when: {found.cosmetic_when}")
        wrapped(f"mechanism when: {found.mechanism_when}")
    rows = []
    for value in found.values:
        takers = ", ".join(n.id for n in kb.nodes.values() if not n.variant and n[id] == value.id)
        part = code.part(id, value.id)
        where = f"parts/{code.identifier(id)}.py:{part.line}" if part else ""
        rows.append((value.id, value.definition, value.test, takers, where))
    table(("value", "definition", "test", "methods", "executable"), rows)


def rule(kb: KB, id: str) -> None:
    """Print one rule: what it states, for whom, under which assumptions, and how it is guarded."""
    found = kb.rules[id]
    heading(f"{found.id} ({found.level}, {found.slot} slot): {found.name}")
    wrapped(found.statement)
    table(
        ("", ""),
        [
            ("holds between", found.between.a),
            ("and", found.between.b),
            ("free axes", ", ".join(found.free) or "none"),
            ("assuming", "; ".join(found.assumptions) or "nothing"),
            ("limit", found.limit or "none"),
            ("certificate", _guard(kb, found.certificate)),
            ("control", found.control or "none"),
        ],
    )
    wrapped(found.derivation)
    pairs = [f"{f.a} ~ {f.b}" for f in knowledge(kb).facts if f.kind == "proved" and f.source == id]
    wrapped("relates: " + (", ".join(pairs) or "no catalogued pair"))


def _guard(kb: KB, certificate: str | None) -> str:
    if certificate is None:
        return "none"
    run = next((i for i in kb.verdicts.identities if i.id == certificate), None)
    if run is None:
        return f"{certificate}: not run"
    outcome = "passed" if run.passed else "failed"
    return f"{certificate}: {outcome}, error {run.error}, control {run.control_error}"


def projection(kb: KB, id: str) -> None:
    """Print a projection: the computed placement of every method beside the published one."""
    chart = kb.projections[id]
    heading(f"{chart.id}: {chart.name} ({chart.source})")
    rows = []
    for p in placements(kb, id):
        verdict = {True: "agrees", False: "DIFFERS", None: ""}[p.agrees]
        rows.append((p.method, p.function, p.computed, p.published or "not placed", verdict))
    table(("method", "function", "computed", "published", ""), rows)
    for remark in chart.remarks:
        rests = f" ({', '.join(remark.rests_on)})" if remark.rests_on else ""
        wrapped(f"{', '.join(remark.methods)}: {remark.remark}{rests}")
    for cell, _, pairs in shared(kb, id):
        heading(f"in one published cell: {', '.join(cell)}")
        table(("pair", "actors", "level", "by"), [(f"{p.a} ~ {p.b}", p.state, p.level, p.source) for p in pairs])
