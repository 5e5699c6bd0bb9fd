"""Pairs: which updates of two methods agree, slot by slot, and at which level.

Fingerprints are taken once for each node and slot, so that the cost grows with the number of methods; comparing two of
them is arithmetic, and only pairs that look alike are grown further. Same-update is asked in scenarios where the
previous policy differs from the current one, same-update-at-old where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from flowrl_kb import compose
from flowrl_kb.certify import subject
from flowrl_kb.certify.certificate import record
from flowrl_kb.certify.compare import LOOKS, MARGIN, decide
from flowrl_kb.certify.store import made_from
from flowrl_kb.certify.subject import laboratory_hyper, slots
from flowrl_kb.errors import UserError
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Method

LEVELS = {"same-update": "drifted", "same-update-at-old": "at-old"}
HOPELESS = 3 * MARGIN
"""An undecided pair whose residual is above this at the second look is not grown further."""


def nodes(kb: KB) -> list[Node]:
    """Every method, and every stripped core."""
    return [node for node in kb.nodes.values() if node.variant is None or node.is_core]


def comparable(a: Method, b: Method, slot: str) -> bool:
    """Whether both have the slot, and their updates share coordinates: the same kind of trained object."""
    if slot == "acting":
        return True
    return slot in a.losses and slot in b.losses and a.trains[slot] == b.trains[slot]


def table(kb: KB, stored: Sequence[dict[str, Any]] = ()) -> Iterator[dict[str, Any]]:
    """All comparable pairs of all slots. A pair that agrees at a level is not asked at a weaker one.

    Acting has no gradient and is asked once. The update of a critic reads a policy too, the present, the target or the
    previous one, which are one policy in the second kind of scenario. What `stored` holds of the same programs is not
    measured again.
    """
    methods, known = {}, {_key(row): row for row in stored if "made_from" in row}
    for node in nodes(kb):
        try:
            methods[node.id] = (node, compose.of_node(node, hyper=laboratory_hyper(node)))
        except UserError:
            continue  # a core whose parts are missing is listed by `open`
    every_slot = sorted({slot for _, method in methods.values() for slot in slots(method)})
    for slot in every_slot:
        settled = set()
        for level, scenes in list(LEVELS.items())[: 1 if slot == "acting" else None]:
            prints = {}
            for (a, of_a), (b, of_b) in combinations(methods.values(), 2):
                if (a.id, b.id) in settled or not comparable(of_a, of_b, slot):
                    continue
                for node in (a, b):
                    if node.id not in prints:
                        prints[node.id] = subject.fingerprint(node, slot, scenes)
                row = {"a": a.id, "b": b.id, "slot": slot, "level": level}
                row["made_from"] = made_from(prints[a.id], prints[b.id])
                if (same := known.get(_key(row))) is None:
                    result = decide(prints[a.id], prints[b.id], LOOKS, subject.rows(of_a, slot), HOPELESS)
                    same = {**row, **record(result, of_a, slot), "assumptions": []}
                if same["verdict"] == "equal":
                    settled.add((a.id, b.id))
                yield same


def _key(row: dict[str, Any]) -> tuple:
    return (row["a"], row["b"], row["slot"], row["level"], row["made_from"])
