"""Certificates: published against composed, every slot.

A classification is tested when the update composed from a card's coordinates equals the update of the published loss,
and its coordinates bear load when changing one of them makes that comparison fail (see `mutation`).
"""

from __future__ import annotations

from typing import Any

from flowrl_kb import compose
from flowrl_kb.certify import subject
from flowrl_kb.certify.compare import LOOKS, Comparison, decide
from flowrl_kb.certify.features import block_name
from flowrl_kb.certify.fingerprint import Fingerprint, fill
from flowrl_kb.certify.mutation import mutation_test, prepared
from flowrl_kb.certify.subject import laboratory_hyper, slots
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Method


def agreement(node: Node, slot: str) -> tuple[Comparison, Fingerprint, int]:
    """Compare the published update of a slot with the composed one; also return the published side and its rows."""
    published, composed = (subject.fingerprint(node, slot, composed=side) for side in (False, True))
    rows = subject.rows(compose.of_node(node, hyper=laboratory_hyper(node)), slot)
    return decide(published, composed, rows=rows), published, rows


def doubled(node: Node, slot: str, published: Fingerprint, rows: int) -> dict[str, Any] | None:
    """A negative control for slots without mutants: the composed update with one hyper-parameter doubled."""
    hyper = laboratory_hyper(node)
    for name, value in hyper.items():
        if isinstance(value, float) and name != "discount":
            other = subject.fingerprint(node, slot, composed=True, hyper={**hyper, name: 2.0 * value})
            result = decide(published, other, LOOKS[:3], rows)
            if result.verdict == "different":
                return {"what": f"{name} doubled", "verdict": "different", "worst_residual": round(result.residual, 4)}
    return None


def record(result: Comparison, method: Method, slot: str) -> dict[str, Any]:
    """A comparison as it is stored; residuals relative, `where` in words."""
    kind = slot if slot == "acting" else method.trains[slot]
    scene, block = result.worst
    return {
        "verdict": result.verdict,
        "worst_residual": round(result.residual, 4),
        "upper_bound": round(result.bound, 4),
        "margin": result.margin,
        "where": f"scenario {scene + 1}, {block_name(kind, block)}",
        "power": round(result.power, 4),
        "scale": round(result.scale, 4),
        "variance_ratio": round(result.variance_ratio, 3),
        "replicates": result.replicates,
    }


def certify(kb: KB, node: Node, mutate: bool = True) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All certificates of one method, with the mutation that serves as negative control, and all mutations."""
    certificates, mutations = [], []
    method = compose.of_node(node, hyper=laboratory_hyper(node))
    mutants = {slot: prepared(kb, node, slot) if mutate else [] for slot in slots(method)}
    sides = [subject.fingerprint(node, slot, composed=side) for slot in mutants for side in (False, True)]
    fill([*sides, *(m.update for of_slot in mutants.values() for m in of_slot if m.update)], LOOKS[0])
    for slot in slots(method):
        result, published, rows = agreement(node, slot)
        found = mutation_test(published, mutants[slot], rows)
        failing = next((r for r in found if r["verdict"] == "different" and r["worst_residual"]), None)
        control = failing and {
            "what": f"{failing['axis']}: {failing['from']} -> {failing['to']}",
            "verdict": failing["verdict"],
            "worst_residual": failing["worst_residual"],
        }
        if control is None and mutate:
            control = doubled(node, slot, published, rows)
        row = {"method": node.id, "slot": slot, "level": "same-update", **record(result, method, slot)}
        certificates.append({**row, "control": control})
        mutations += found
    return certificates, mutations
