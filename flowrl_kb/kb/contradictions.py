"""Facts that cannot both hold: pairs that are proved the same and found different."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowrl_kb.errors import Problem
from flowrl_kb.kb.facts import Fact, Proof
from flowrl_kb.kb.relations import Knowledge, knowledge

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

VERDICTS = "taxonomy/verdicts.json"


def contradictions(kb: KB) -> list[Problem]:
    """Return one problem for every difference that a proof excludes, with both sides and where they stand.

    A proof excludes a difference when the comparison kept every assumption of the proof; a difference found outside
    the assumptions only shows that they matter. A witness keeps none, so that it contradicts the proofs without.
    """
    return kb.derived("contradictions", lambda kb: list(_excluded(kb)))


def _excluded(kb: KB) -> Iterator[Problem]:
    known = knowledge(kb)
    for fact in _differences_of_proved(known):
        proof = known.proved_within(fact.a, fact.b, fact.level, fact.slot, fact.assumptions)
        if proof and _same_limit(fact, proof):
            against = f"{VERDICTS} measured them different at {fact.level}"
            if fact.is_witness:
                path, line = kb.place("witness", fact.source)
                against = f"{path}:{line} separates them at {fact.level}"
            yield _problem(kb, fact, proof, against)


def _differences_of_proved(known: Knowledge) -> Iterator[Fact]:
    """Yield every difference between two nodes that some proof calls the same at its level."""
    for fact in known.facts:
        if fact.kind == "refuted" and fact.b in known.proofs(fact.a, fact.level, fact.slot):
            yield fact
    for entry in known.separated:
        pairs = {(min(a, b), max(a, b)) for a in entry.left for b in known.proofs(a, entry.level, entry.slot)}
        for a, b in sorted(pairs):
            if entry.covers(a, b):
                yield Fact(a, b, "refuted", entry.level, entry.witness, entry.slot, figure=entry.figure)


def _problem(kb: KB, fact: Fact, proof: Proof, against: str) -> Problem:
    steps = []
    for step in proof.facts:
        path, line = kb.place("rule", step.source)
        steps.append(f"{path}:{line} ({step.a} ~ {step.b} at {step.level})")
    assuming = f", assuming {'; '.join(proof.assumptions)}" if proof.assumptions else ""
    figure = fact.worst_residual if fact.figure is None else fact.figure
    size = "" if figure is None else f" ({'worst residual' if fact.figure is None else 'figure'} {figure:.3g})"
    path, line = kb.place("rule", proof.facts[0].source)
    return Problem(
        path,
        line,
        f"{fact.a} ~ {fact.b}, {fact.slot}",
        f"proved by {' and '.join(steps)}{assuming}, but {against}{size}; one of the two is wrong,"
        " or an assumption or a condition is missing",
    )


def _same_limit(fact: Fact, proof: Proof) -> bool:
    """Two limits are about the same thing when parameter and value agree, whatever the order."""
    if fact.level != "limit" or not fact.limit:
        return True
    return (proof.facts[0].limit or "").partition(",")[0] == fact.limit.partition(",")[0]


def matters(kb: KB) -> list[tuple[Fact, tuple[str, ...]]]:
    """Return differences found outside a proof's assumptions, with the assumptions not kept."""
    known, found = knowledge(kb), []
    for fact in _differences_of_proved(known):
        proof = known.proofs(fact.a, fact.level, fact.slot)[fact.b]
        missing = tuple(a for a in proof.assumptions if a not in fact.assumptions)
        if missing and _same_limit(fact, proof):
            if not known.proved_within(fact.a, fact.b, fact.level, fact.slot, fact.assumptions):
                found.append((fact, missing))
    return found
