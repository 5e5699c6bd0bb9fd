"""What is open: pairs and coordinates that nothing settles yet, and surprises worth a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowrl_kb.kb.contradictions import matters
from flowrl_kb.kb.relations import knowledge

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


class Finding(NamedTuple):
    kind: str
    subject: str
    detail: str


def findings(kb: KB) -> list[Finding]:
    """Return open questions and surprises: unexplained equalities, coarse cells, loose coordinates, ..."""
    known = knowledge(kb)
    axes = [axis.id for axis in kb.actor_axes]
    found: list[Finding] = []
    for fact in known.facts:
        if fact.slot != "actor" or fact.kind not in ("certified", "refuted", "undecided"):
            continue
        a, b = kb.nodes[fact.a], kb.nodes[fact.b]
        apart = [axis for axis in axes if a[axis] != b[axis]]
        pair = f"{fact.a} ~ {fact.b}"
        if fact.kind == "undecided":
            found.append(Finding("undecided", pair, f"certificate undecided at {fact.level}"))
        elif fact.kind == "certified" and apart and fact.b not in known.proofs(fact.a, fact.level):
            detail = f"equal at {fact.level} without a rule; coordinates differ on {', '.join(apart)}"
            found.append(Finding("discovered equivalence", pair, detail))
        elif fact.kind == "refuted" and not apart and not a.unknown(axes):
            found.append(Finding("cell too coarse", pair, f"same cell, different at {fact.level}"))
    for one, other, missing in matters(kb):
        found.append(Finding("assumption matters", f"{one} ~ {other}", "; ".join(missing)))
    for m in kb.verdicts.mutations:
        if m.verdict != "different":
            found.append(Finding(m.verdict, f"{m.method}.{m.axis}", f"{m.from_} / {m.to}"))
    for card in kb.cards.values():
        unknown = kb.nodes[card.id].unknown(axis.id for axis in kb.mechanism)
        if unknown:
            found.append(Finding("unknown coordinates", card.id, ", ".join(unknown)))
    order = {kind: i for i, kind in enumerate(dict.fromkeys(f.kind for f in found))}
    return sorted(found, key=lambda f: order[f.kind])
