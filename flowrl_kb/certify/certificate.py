"""Certificates: published against composed, every slot.

A classification is tested when the update composed from a card's coordinates equals the update of the published loss,
and its coordinates bear load when changing one of them makes that comparison fail (see `mutation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import jax.numpy as jnp

from flowrl_kb import compose
from flowrl_kb.certify import compare, coupling, moments, subject
from flowrl_kb.certify.compare import LOOKS, Comparison
from flowrl_kb.certify.features import block_name
from flowrl_kb.certify.fingerprint import Fingerprint, fill, of_slot
from flowrl_kb.certify.mutation import Mutant, mutation_test, prepared
from flowrl_kb.certify.numbers import decide
from flowrl_kb.certify.program import Program
from flowrl_kb.certify.same_loss import Both, Side
from flowrl_kb.certify.store import judges, kept, made_from, modules_hash
from flowrl_kb.certify.subject import laboratory_hyper, slots
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Batch, Method, Models

Rows = Sequence[dict[str, Any]]


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


def control(node: Node, slot: str, published: Fingerprint, rows: int) -> dict[str, Any] | None:
    """A wrong update that the comparison calls different, if there is one among `_variations`."""
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


def certify(node: Node, stored: Rows = ()) -> Rows:
    """All certificates of one method, each with a negative control.

    A slot whose two updates are not shown to be one, draw by draw, is compared in its averages. Rows among the `stored`
    ones that were made by the same programs are not measured again.
    """
    method, composed = (compose.of_node(node, is_cell, laboratory_hyper(node)) for is_cell in (False, True))
    shown, found = subject.setting(node), []
    for slot in slots(method):
        both = Both(Side(method, shown), Side(composed, shown), slot, subject.SCENES["drifted"](2))
        key = {"method": node.id, "slot": slot, "made_from": _made_from(node, method, slot, both)}
        found.append(kept(stored, key) or {**key, **(both.row() or _averaged(node, method, slot))})
    return found


def mutations(kb: KB, node: Node, stored: Rows = ()) -> Rows:
    """All mutations of one method; rows among the `stored` ones that the same programs made are not measured again."""
    method = compose.of_node(node, hyper=laboratory_hyper(node))
    published = {slot: sides(node, slot)[0] for slot in slots(method)}
    mutants = {slot: prepared(kb, node, slot) for slot in published}
    new = [_unmeasured(update, mutants[slot], stored) for slot, update in published.items()]
    fill([published[slot] for slot, some in zip(published, new, strict=True) if some], LOOKS[0])
    fill(chain.from_iterable(new), LOOKS[0])
    tested = (mutation_test(published[s], mutants[s], subject.rows(method, s), stored) for s in published)
    return list(chain.from_iterable(tested))


def _averaged(node: Node, method: Method, slot: str) -> dict[str, Any]:
    published, composed = sides(node, slot)
    rows = subject.rows(method, slot)
    fill((published, composed), LOOKS[1])
    made = record(decide(published, composed, rows=rows), method, slot)
    return {"level": "same-update", **made, "control": control(node, slot, published, rows)}


def _made_from(node: Node, method: Method, slot: str, both: Both) -> str:
    judged = judges(method.trains.get(slot))
    try:
        return f"{both.hash[:16]} {modules_hash(compare, moments, coupling, *judged)}"
    except NotImplementedError:
        return made_from(*sides(node, slot), more=judged)


def _unmeasured(published: Fingerprint, mutants: list[Mutant], stored: Rows) -> list[Fingerprint]:
    return [m.update for m in mutants if m.update and not kept(stored, m.key(published))]
