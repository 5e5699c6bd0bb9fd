"""Pairs that are proved the same and measured different."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowrl_kb.errors import Problem
from flowrl_kb.kb.relations import knowledge

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def contradictions(kb: KB) -> Iterator[Problem]:
    """Yield one problem for every measured difference that a proof excludes.

    A proof excludes a difference when its level implies the measured one and the measurement kept every
    assumption of the proof; a difference measured outside the assumptions only shows that they matter.
    """
    known = knowledge(kb)
    for fact in known.facts:
        if fact.kind != "refuted" or fact.slot != "actor":
            continue
        proof = known.proofs(fact.a, fact.level).get(fact.b)
        if proof is None or not set(proof.assumptions) <= set(fact.assumptions):
            continue
        steps = []
        for step in proof.facts:
            path, line = kb.place("rule", step.source)
            steps.append(f"{path}:{line} ({step.a} ~ {step.b} at {step.level})")
        path, line = kb.place("rule", proof.facts[0].source)
        yield Problem(
            path,
            line,
            f"{fact.a} ~ {fact.b}",
            f"proved {' and '.join(steps)}, but taxonomy/verdicts.json measured them different at"
            f" {fact.level} (worst residual {fact.worst_residual}); one of the two is wrong"
            " or an assumption is missing",
        )


def matters(kb: KB) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return pairs measured different outside a proof's assumptions, with the assumptions not kept."""
    known, found = knowledge(kb), []
    for fact in known.facts:
        if fact.kind == "refuted" and fact.slot == "actor":
            proof = known.proofs(fact.a, fact.level).get(fact.b)
            missing = tuple(a for a in proof.assumptions if a not in fact.assumptions) if proof else ()
            if missing:
                found.append((fact.a, fact.b, missing))
    return found
