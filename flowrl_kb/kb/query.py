"""Answering a query: what satisfies it, what may, what does not, why, and how complete the answer is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowrl_kb.kb import cells
from flowrl_kb.kb.evaluate import WHOLE, Condition
from flowrl_kb.kb.facts import Fact
from flowrl_kb.kb.grammar import Call
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.relations import Proof, knowledge
from flowrl_kb.kb.schema import UNKNOWN
from flowrl_kb.kb.truth import MAYBE, NO, YES
from flowrl_kb.kb.whole import everywhere, sentence

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


@dataclass(frozen=True)
class Answer:
    """Three groups of node ids; `why` explains members, `empty` an empty first group."""

    text: str
    satisfies: tuple[str, ...]
    may: tuple[str, ...]
    does_not: tuple[str, ...]
    why: dict[str, str] = field(default_factory=dict)
    completeness: str = ""
    empty: str = ""


def query(kb: KB, text: str, variants: bool = False) -> Answer:
    """Return the answer to a query over methods (and variants, when asked for or named in the query)."""
    condition = Condition(kb, text)
    variants = variants or condition.names_a_variant()
    nodes = [node for node in kb.nodes.values() if variants or node.variant is None]
    groups: dict[int, list[Node]] = {YES: [], MAYBE: [], NO: []}
    for node in nodes:
        groups[condition.of(node)].append(node)
    why = {node.id: reason for node in groups[YES] + groups[MAYBE] if (reason := explain(kb, condition, node))}
    return Answer(
        text,
        *(tuple(node.id for node in groups[truth]) for truth in (YES, MAYBE, NO)),
        why,
        completeness(kb, condition, nodes),
        "" if groups[YES] else nothing(kb, condition, groups[MAYBE]),
    )


def explain(kb: KB, condition: Condition, node: Node) -> str:
    """Return the proofs or certificates behind a member, and the undecided coordinates behind a candidate."""
    parts = [part for call in condition.calls("equiv") if (part := _because_equal(kb, condition, call, node))]
    parts += [part for call in condition.calls("differs") if (part := _because_different(kb, condition, call, node))]
    undecided = [axis for axis in condition.axes if node[axis] == UNKNOWN]
    if undecided:
        parts.append(f"unknown: {', '.join(undecided)}")
    return "; ".join(parts)


def describe(kb: KB, proof: Proof) -> str:
    """Return a proof in words: its steps, then the assumptions."""
    assuming = f"; assuming {', '.join(proof.assumptions)}" if proof.assumptions else ""
    return steps(proof) + assuming


def steps(proof: Proof) -> str:
    """Return rules with their levels, certificates and witnesses, with the nodes between them."""
    said = []
    for fact in proof.facts:
        if fact.kind == "certified":
            said.append(f"certified equal at {fact.level} (worst residual {number(fact.worst_residual)}), not proved")
        elif fact.kind == "refuted":
            said.append(f"different at {fact.level}, {evidence(fact)}")
        else:
            limit = f" ({fact.limit})" if fact.limit else ""
            said.append(f"rule {fact.source}, {fact.level}{limit}")
    if len(proof.facts) > 1:
        said = [f"{fact.a} ~ {fact.b}: {step}" for fact, step in zip(proof.facts, said, strict=True)]
    return "; then ".join(said)


def evidence(fact: Fact) -> str:
    """Return how a difference is known: a witness with its figure, or a certificate with its residual and place."""
    if fact.is_witness:
        return f"witness {fact.source} (figure {number(fact.figure)}, at least {number(fact.at_least)})"
    where = f" in {fact.where}" if fact.where else ""
    return f"certificate (worst residual {number(fact.worst_residual)}{where})"


def number(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.3g}"


def _because_equal(kb: KB, condition: Condition, call: Call, node: Node) -> str:
    centre, level, slot = kb.resolve(call.arguments[0].text), condition.level(call), condition.slot(call)
    if node is centre:
        return ""
    if slot == WHOLE:
        return sentence(everywhere(kb, centre, node))
    proof = knowledge(kb).equal_to(centre.id, level, slot).get(node.id)
    if proof:
        return describe(kb, proof)
    facts = knowledge(kb).between(centre.id, node.id, slot)
    claims = [
        f"claimed by a card: {f.level}" + (f" if {', '.join(f.assumptions)}" if f.assumptions else "")
        for f in facts
        if f.kind == "declared"
    ]
    tried = [f"certificate undecided at {f.level}" for f in facts if f.kind == "undecided"]
    limits = [f"only in the limit {f.limit} (rule {f.source})" for f in facts if f.limit]
    return "; ".join([*limits, *tried, *claims]) or "neither a proof nor a certificate"


def _because_different(kb: KB, condition: Condition, call: Call, node: Node) -> str:
    ends = [kb.resolve(argument.text) for argument in call.arguments]
    other = ends[0] if len(ends) == 1 or node is ends[1] else ends[1]
    if condition.slot(call) == WHOLE:
        return sentence(everywhere(kb, node, other))
    proof = knowledge(kb).refutation(node.id, other.id, condition.level(call), condition.slot(call))
    if proof and len(proof.facts) == 1:
        return f"different from {other.id} at {proof.refuting.level}, {evidence(proof.refuting)}"
    if proof:
        return describe(kb, proof)
    axes = [axis.id for axis in kb.mechanism if node[axis.id] != other[axis.id]]
    return f"no certificate; coordinates differ from {other.id} on {', '.join(axes) or 'no mechanism axis'}"


def completeness(kb: KB, condition: Condition, nodes: list[Node]) -> str:
    """Say over what the answer ranges and how much of it is undecided."""
    cards = len({node.card.id for node in nodes})
    kinds = f"{cards} catalogued methods" + (f" and {len(nodes) - cards} variants" if len(nodes) > cards else "")
    undecided = sum(bool(node.unknown(condition.axes)) for node in nodes)
    used = f"{undecided} of them undecided on {', '.join(condition.axes)}" if condition.axes else "no axis used"
    return f"over {kinds}; {used}; the catalogue does not claim to hold every published method"


def nothing(kb: KB, condition: Condition, candidates: list[Node]) -> str:
    """Say why no method satisfies a condition: impossible, undecided, or simply not catalogued."""
    if condition.axes:
        blame = cells.culprits(kb, condition)
        if blame:
            return "impossible: " + "; ".join(f"constraint {c.id} ({c.because})" for c in blame)
        if cells.possible(kb, condition) is None:
            return "impossible: the conditions contradict each other"
    if candidates:
        values = sum(len(node.unknown(condition.axes)) for node in candidates)
        if values:
            return f"unknown because of {values} undecided value(s) in {len(candidates)} candidate(s)"
        return f"unknown: {len(candidates)} candidate(s) have neither a proof nor a certificate"
    near = sorted(
        (steps, node.id)
        for node in kb.nodes.values()
        if node.variant is None and (steps := cells.relaxations(kb, condition, node))
    )
    if near:
        closest = [id for steps, id in near if steps == near[0][0]]
        shown = ", ".join(closest[:5]) + (", ..." if len(closest) > 5 else "")
        return f"no catalogued method; nearest at distance {near[0][0]}: {shown}"
    return "no catalogued method"
