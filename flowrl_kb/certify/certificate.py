"""Certificates: published against composed, every slot.

A classification is tested when the update composed from a card's coordinates equals the update of the published loss,
and its coordinates bear load when changing one of them makes that comparison fail (see `mutation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp

from flowrl_kb import compose
from flowrl_kb.certify import subject
from flowrl_kb.certify.compare import LOOKS, Comparison
from flowrl_kb.certify.features import block_name
from flowrl_kb.certify.fingerprint import Fingerprint, fill, of_slot
from flowrl_kb.certify.mutation import Mutant, mutation_test, prepared
from flowrl_kb.certify.numbers import decide
from flowrl_kb.certify.program import Program
from flowrl_kb.certify.store import judges, kept, made_from
from flowrl_kb.certify.subject import laboratory_hyper, slots
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Batch, Method, Models

Rows = list[dict[str, Any]]
NOTHING: Mapping[str, Rows] = MappingProxyType({"certificates": [], "mutations": []})


def sides(node: Node, slot: str) -> tuple[Fingerprint, Fingerprint]:
    """The published update of a slot and the composed one."""
    return subject.fingerprint(node, slot), subject.fingerprint(node, slot, composed=True)


def agreement(node: Node, slot: str) -> Comparison:
    """Compare the published update of a slot with the composed one."""
    rows = subject.rows(compose.of_node(node, hyper=laboratory_hyper(node)), slot)
    return decide(*sides(node, slot), rows=rows)


def _other_rows(models: Models, batch: Batch) -> tuple[Models, Batch]:
    return models, batch._replace(s=jnp.roll(batch.s, 1, axis=0))


def _other_critics(models: Models, batch: Batch) -> tuple[Models, Batch]:
    return models._replace(critic=models.target_critic, target_critic=models.critic), batch


DISTURBED = {"states of other rows": _other_rows, "critics and their averages exchanged": _other_critics}
"""Wrong presentations of any slot; one that draws all it reads at its own states is not disturbed by the first."""


def disturbed(node: Node, slot: str, what: str) -> Fingerprint:
    """The composed update under a wrong presentation; not remembered."""
    shown, scenes = subject.setting(node), subject.SCENES["drifted"](2)

    def build():
        method = compose.of_node(node, composed=True, hyper=laboratory_hyper(node))
        if slot == "acting":
            return of_slot(method, slot, shown)
        loss = method.losses[slot]
        wrong = lambda models, batch, key: loss(*DISTURBED[what](models, batch), key)  # noqa: E731
        return of_slot(method._replace(losses={**method.losses, slot: wrong}), slot, shown)

    return Fingerprint(Program(build, scenes), scenes, f"{what} {node.id} {slot}")


def _variations(node: Node, slot: str) -> Iterator[tuple[str, Fingerprint]]:
    """Wrong updates for slots without mutants, each with what is wrong with it."""
    hyper, stated = laboratory_hyper(node), sides(node, slot)[1].identity
    numbers = {name: x for name, x in hyper.items() if isinstance(x, float) and name != "discount"}
    for what, factor in (("doubled", 2.0), ("with the other sign", -1.0)):
        for name, x in numbers.items():
            other = subject.fingerprint(node, slot, composed=True, hyper={**hyper, name: factor * x})
            if other.identity != stated:  # many slots do not read it
                yield f"{name} {what}", other
        if what == "doubled":
            for presented in DISTURBED:
                yield presented, disturbed(node, slot, presented)


def control(node: Node, slot: str, published: Fingerprint, rows: int, mutations: Rows) -> dict[str, Any] | None:
    """A wrong update that the comparison calls different, of the mutants or else of `_variations`, if there is one."""
    for row in mutations:
        if row["verdict"] == "different" and row["worst_residual"]:
            what = f"{row['axis']}: {row['from']} -> {row['to']}"
            return {"what": what, "verdict": "different", "worst_residual": row["worst_residual"]}
    for what, other in _variations(node, slot):
        result = decide(published, other, LOOKS[:3], rows)
        if result.verdict == "different":
            return {"what": what, "verdict": "different", "worst_residual": round(result.residual, 4)}
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


def certify(kb: KB, node: Node, mutate: bool = True, stored: Mapping[str, Rows] = NOTHING) -> tuple[Rows, Rows]:
    """All certificates of one method, each with a negative control, and all mutations.

    Rows among the `stored` ones that were made by the same programs are not measured again.
    """
    certificates, mutations = [], []
    method = compose.of_node(node, hyper=laboratory_hyper(node))
    both = {slot: sides(node, slot) for slot in slots(method)}
    known = {slot: kept(stored["certificates"], _key(node, method, slot, *both[slot])) for slot in both}
    mutants = {slot: prepared(kb, node, slot) if mutate else [] for slot in both}
    new = {slot: _unmeasured(both[slot][0], mutants[slot], stored["mutations"]) for slot in both}
    fill(chain.from_iterable(both[slot] for slot in both if new[slot] or not known[slot]), LOOKS[1])
    fill(chain.from_iterable(new.values()), LOOKS[0])
    for slot, (published, composed) in both.items():
        rows = subject.rows(method, slot)
        found = mutation_test(published, mutants[slot], rows, stored["mutations"])
        row = known[slot] or {
            **_key(node, method, slot, published, composed),
            **record(decide(published, composed, rows=rows), method, slot),
        }
        if mutate and not row.get("control"):
            row["control"] = control(node, slot, published, rows, found)
        certificates.append({"control": None, **row})
        mutations += found
    return certificates, mutations


def _key(node: Node, method: Method, slot: str, published: Fingerprint, composed: Fingerprint) -> dict[str, Any]:
    made = made_from(published, composed, more=judges(method.trains.get(slot)))
    return {"method": node.id, "slot": slot, "level": "same-update", "made_from": made}


def _unmeasured(published: Fingerprint, mutants: list[Mutant], stored: Rows) -> list[Fingerprint]:
    return [m.update for m in mutants if m.update and not kept(stored, m.key(published))]
