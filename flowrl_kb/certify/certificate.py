"""Certificates: published against composed, every slot; and mutations, every coordinate.

A classification is tested when the update composed from a card's coordinates equals the update of the published loss,
and its coordinates bear load when changing one of them makes that comparison fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.compare import MARGIN, Comparison, compare
from flowrl_kb.certify.fingerprint import Fingerprint
from flowrl_kb.errors import UserError
from flowrl_kb.kb.cells import violations
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Method

LOOKS = (256, 1024, 4096, 8192)
"""Replicates (of 256 samples and three scenarios each) at which a comparison may stop."""
HYPER = {
    "temperature": 0.5,
    "candidates": 8,
    "best_of": 4,
    "backup_of": 4,
    "entropy_samples": 32,
    "clip": 0.2,
    "clip_base": 0.1,
    "weight_clip": 4.0,
    "min_std": 0.1,
    "bc_weight": 1.0,
    "noise_std": 0.2,
    "acting_temperature": 0.5,
    "expectile": 0.8,
    "discount": 0.9,
    "target_entropy": -1.0,
    "entropy_weight": 0.05,
}
"""Laboratory values of hyper-parameters, so that temperatures, clips and candidate counts suit its laws."""
KEPT = {"clip": 0.05}
"""Published values at least this large are kept: a clip so wide has laboratory samples on both of its sides."""
SLOT_AXES = {
    "acting": ("acting",),
    "critic": ("backup", "critic"),
    "value": ("critic",),
    "behaviour": (),
    "log_temperature": (),
}
"""Axes whose mutation is looked for outside the actor slot."""


def setting(node: Node) -> lab.Setting:
    """How the laboratory presents a method: actions come from the previous policy where its ratio needs them."""
    stored = node["route"] == "likelihood-ratio"
    return lab.Setting(
        policy=node["policy"],
        path=node["path"],
        sampler=node["sampler"],
        min_std=HYPER["min_std"],
        data="previous" if stored else "behaviour",
        distributional=node["critic-output"] == "gaussian",
    )


def laboratory_hyper(node: Node) -> dict[str, Any]:
    """The node's hyper-parameters with the laboratory's values in place of those that it fixes."""
    values = compose.hyperparameters(node)
    return values | {
        name: HYPER[name]
        for name, value in values.items()
        if name in HYPER and value is not None and not value >= KEPT.get(name, float("inf"))
    }


def decide(first: Fingerprint, second: Fingerprint, looks=LOOKS, margin: float = MARGIN) -> Comparison:
    """Grow both fingerprints until the comparison is decided or the looks are used up."""
    for n in looks:
        result = compare(first.take(n), second.take(n), margin)
        if result.verdict != "undecided":
            break
    return result


def slots(method: Method) -> list[str]:
    """The slots of a method: each trained object, and acting."""
    return [*method.losses, "acting"]


def fingerprint(method: Method, slot: str, node: Node, stream: int, scenes: lab.Scenario | None = None) -> Fingerprint:
    """The fingerprint of one slot under the laboratory's presentation of `node`."""
    return Fingerprint(method, slot, setting(node), lab.drifted() if scenes is None else scenes, stream)


def agreement(node: Node, slot: str) -> tuple[Comparison, Fingerprint]:
    """Compare the published update of a slot with the composed one; also return the published fingerprint."""
    hyper = laboratory_hyper(node)
    published = fingerprint(compose.of_node(node, hyper=hyper), slot, node, 1)
    composed = fingerprint(compose.of_node(node, composed=True, hyper=hyper), slot, node, 2)
    return decide(published, composed), published


def mutants(kb: KB, node: Node, slot: str) -> Iterator[tuple[str, str, dict[str, str], Method]]:
    """Every executable change of one coordinate of the slot: (axis, value, cell, method).

    Where a constraint couples two axes, the second is moved along (to the first value that is allowed and has a part).
    """
    own = {axis for axes in SLOT_AXES.values() for axis in axes}
    for axis in kb.mechanism:
        if axis.id not in SLOT_AXES[slot] if slot in SLOT_AXES else axis.id in own:
            continue
        for value in axis.values:
            if value.id != node[axis.id]:
                for cell in _neighbours(kb, node, axis.id, value.id):
                    try:
                        method = _mutant(node, cell)
                    except UserError:
                        continue
                    yield axis.id, value.id, cell, method
                    break


def _mutant(node: Node, cell: Mapping[str, str]) -> Method:
    """The method at a changed cell with the node's hyper-parameters; those that only the new parts need are the
    laboratory's. Optional ones are left out, because they would change more than the coordinate.
    """
    hyper = laboratory_hyper(node)
    while True:
        try:
            return compose.compose(node.id, cell, hyper)
        except compose.MissingHyper as missing:
            if missing.name not in HYPER:
                raise
            hyper |= {missing.name: HYPER[missing.name]}


def _neighbours(kb: KB, node: Node, axis: str, value: str) -> Iterator[dict[str, str]]:
    """The changed cell if no constraint forbids it, else every allowed one with one further axis changed."""
    changed = {**node.coordinates, axis: value}
    if not violations(kb, changed):
        yield changed
        return
    for other in kb.mechanism:
        for further in other.values:
            if other.id not in (axis, "route") and further.id != changed[other.id]:
                cell = {**changed, other.id: further.id}
                if not violations(kb, cell):
                    yield cell


def mutation_test(kb: KB, node: Node, slot: str, published: Fingerprint) -> list[dict[str, Any]]:
    """Compare the published update of a slot with every mutant; `not-separated` where they agree."""
    rows = []
    for axis, value, cell, method in mutants(kb, node, slot):
        row = {"method": node.id, "slot": slot, "axis": axis, "from": node[axis], "to": value}
        row["with"] = {a: v for a, v in cell.items() if v != node[a] and a != axis}
        if slot not in slots(method):
            rows.append({**row, "verdict": "different", "worst_residual": None, "note": f"trains no {slot}"})
            continue
        result = decide(published, fingerprint(method, slot, node, 3), LOOKS[:2])
        verdict = {"equal": "not-separated"}.get(result.verdict, result.verdict)
        rows.append({**row, "verdict": verdict, "worst_residual": round(result.worst_residual, 4)})
    return rows


def doubled(node: Node, slot: str, published: Fingerprint) -> dict[str, Any] | None:
    """A negative control for slots without mutants: the composed update with one hyper-parameter doubled."""
    hyper = laboratory_hyper(node)
    for name, value in hyper.items():
        if isinstance(value, float) and name != "discount":
            method = compose.of_node(node, composed=True, hyper={**hyper, name: 2.0 * value})
            result = decide(published, fingerprint(method, slot, node, 4), LOOKS[:2])
            if result.verdict == "different":
                residual = round(result.worst_residual, 4)
                return {"what": f"{name} doubled", "verdict": "different", "worst_residual": residual}
    return None


def certify(kb: KB, node: Node, mutate: bool = True) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All certificates of one method, with the mutation that serves as negative control, and all mutations."""
    certificates, mutations = [], []
    for slot in slots(compose.of_node(node, hyper=laboratory_hyper(node))):
        result, published = agreement(node, slot)
        rows = mutation_test(kb, node, slot, published) if mutate else []
        failing = next((r for r in rows if r["verdict"] == "different" and r["worst_residual"]), None)
        control = failing and {
            "what": f"{failing['axis']}: {failing['from']} -> {failing['to']}",
            "verdict": failing["verdict"],
            "worst_residual": failing["worst_residual"],
        }
        if control is None and mutate:
            control = doubled(node, slot, published)
        certificates.append(
            {
                "method": node.id,
                "slot": slot,
                "level": "same-update",
                "verdict": result.verdict,
                "worst_residual": round(result.worst_residual, 4),
                "upper_bound": round(result.upper_bound, 4),
                "scale": round(result.scale, 4),
                "variance_ratio": round(result.variance_ratio, 3),
                "replicates": result.replicates,
                "margin": MARGIN,
                "control": control,
            }
        )
        mutations += rows
    return certificates, mutations
