"""Pairs: which updates of two methods agree, slot by slot, and at which level.

Fingerprints are taken once for each node and slot, so that the cost grows with the number of methods; comparing two of
them is arithmetic, and only pairs that look alike are grown further. Same-update is asked in scenarios where the
previous policy differs from the current one and in others where it does not, same-update-at-old in the latter only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from flowrl_kb import compose
from flowrl_kb.certify import subject
from flowrl_kb.certify.certificate import record
from flowrl_kb.certify.compare import LOOKS, MARGIN
from flowrl_kb.certify.fingerprint import fill
from flowrl_kb.certify.numbers import decide
from flowrl_kb.certify.store import judges, made_from
from flowrl_kb.certify.subject import laboratory_hyper, slots
from flowrl_kb.errors import UserError
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Method

LEVELS = {"same-update": "drifted", "same-update-at-old": "at-old"}
HOPELESS = 5 * MARGIN
"""An undecided pair whose residual is above this at the second look is not grown further.

At three times the margin two clones of one law were given up: there the noise of so few replicates reaches .07.
"""


def nodes(kb: KB) -> list[Node]:
    """Every method, and every stripped core."""
    return [node for node in kb.nodes.values() if node.variant is None or node.is_core]


def _has(method: Method, slot: str) -> bool:
    return slot == "acting" or slot in method.losses


def comparable(a: Method, b: Method, slot: str) -> bool:
    """Whether updates of a slot that both have share coordinates: the same kind of trained object."""
    return slot == "acting" or a.trains[slot] == b.trains[slot]


def table(kb: KB, stored: Sequence[dict[str, Any]] = ()) -> Iterator[dict[str, Any]]:
    """All comparable pairs of all slots.

    An update that agrees at every policy agrees at the previous one too: only pairs that are equal in both kinds of
    scenario are called equal at the stronger level. Acting has no gradient and is asked once. What `stored` holds of
    the same programs is not measured again.
    """
    methods, known = {}, {_key(row): row for row in stored if "made_from" in row}
    for node in nodes(kb):
        try:
            methods[node.id] = (node, compose.of_node(node, hyper=laboratory_hyper(node)))
        except UserError:
            continue  # a core whose parts are missing is listed by `open`
    every_slot = sorted({slot for _, method in methods.values() for slot in slots(method)})
    for slot in every_slot:
        compared = [list(_compared(methods, slot, level, known)) for level in LEVELS if asked(slot, level)]
        for rows in zip(*compared, strict=True):
            yield from _standing(*rows)


def asked(slot: str, level: str) -> bool:
    """Whether the updates of a slot are compared at a level."""
    return slot != "acting" or level == "same-update"


def _compared(methods: dict[str, tuple[Node, Method]], slot: str, level: str, known: dict) -> Iterator[dict[str, Any]]:
    having = [id for id, (_, method) in methods.items() if _has(method, slot)]
    prints = {id: subject.fingerprint(methods[id][0], slot, LEVELS[level]) for id in having}
    rows = [
        {
            "a": a,
            "b": b,
            "slot": slot,
            "level": level,
            "made_from": made_from(prints[a], prints[b], more=judges(methods[a][1].trains.get(slot))),
        }
        for a, b in combinations(having, 2)
        if comparable(methods[a][1], methods[b][1], slot)
    ]
    new = {id for row in rows if _key(row) not in known for id in (row["a"], row["b"])}
    fill((prints[id] for id in having if id in new), LOOKS[0])
    for row in rows:
        a, b = row["a"], row["b"]
        if (same := known.get(_key(row))) is None:
            result = decide(prints[a], prints[b], LOOKS, subject.rows(methods[a][1], slot), HOPELESS)
            same = {**row, **record(result, methods[a][1], slot), "assumptions": []}
        yield same


def _standing(everywhere: dict[str, Any], at_old: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """What is stored of one pair: nothing that follows from another row, and no equality that the other row denies."""
    if at_old is None:
        return [everywhere]
    if everywhere["verdict"] != "equal":
        return [everywhere, at_old]
    if at_old["verdict"] == "equal":
        return [everywhere]
    return [at_old] if at_old["verdict"] == "different" else [{**everywhere, "verdict": "undecided"}, at_old]


def _key(row: dict[str, Any]) -> tuple:
    return (row["a"], row["b"], row["slot"], row["level"], row["made_from"])
