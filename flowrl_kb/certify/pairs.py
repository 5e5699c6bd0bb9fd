"""Pairs: which updates of two methods agree, slot by slot, and at which level.

Fingerprints are taken once for each node and slot, so that the cost grows with the number of methods; comparing two of
them is arithmetic, and only pairs that look alike are grown further. Same-update is asked in scenarios where the
previous policy differs from the current one and in others where it does not, same-update-at-old in the latter only.
Those that are equal everywhere are then compared draw by draw (`same_loss`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from flowrl_kb import compose
from flowrl_kb.certify import coupling, draws, same_loss, sites, subject
from flowrl_kb.certify.certificate import record
from flowrl_kb.certify.compare import LOOKS, MARGIN
from flowrl_kb.certify.fingerprint import fill
from flowrl_kb.certify.numbers import decide
from flowrl_kb.certify.same_loss import Both, Side
from flowrl_kb.certify.store import judges, made_from, modules_hash
from flowrl_kb.certify.subject import laboratory_hyper, slots
from flowrl_kb.errors import UserError
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Method

MATCHING = (coupling, draws, sites, same_loss)
"""What says whether two updates are one draw by draw."""
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
    for slot in sorted({slot for _, method in methods.values() for slot in slots(method)}):
        having = {id: made for id, made in methods.items() if _has(made[1], slot)}
        both = [(a, b) for a, b in combinations(having, 2) if comparable(having[a][1], having[b][1], slot)]
        everywhere = [_matched(kb, row) for row in _compared(having, both, slot, "same-update", known)]
        left = [pair for pair, row in zip(both, everywhere, strict=True) if row["level"] != "same-loss"]
        left = left if asked(slot, "same-update-at-old") else []
        at_old = dict(zip(left, _compared(having, left, slot, "same-update-at-old", known), strict=True))
        for pair, row in zip(both, everywhere, strict=True):
            yield from _standing(row, at_old.get(pair))


def asked(slot: str, level: str) -> bool:
    """Whether the updates of a slot are compared at a level."""
    return slot != "acting" or level == "same-update"


def _compared(
    methods: dict[str, tuple[Node, Method]], both: list[tuple[str, str]], slot: str, level: str, known: dict
) -> Iterator[dict[str, Any]]:
    having = sorted({id for pair in both for id in pair})
    prints = {id: subject.fingerprint(methods[id][0], slot, LEVELS[level]) for id in having}
    rows = [
        {
            "a": a,
            "b": b,
            "slot": slot,
            "level": level,
            "made_from": made_from(prints[a], prints[b], more=judges(methods[a][1].trains.get(slot))),
        }
        for a, b in both
    ]
    new = {id for row in rows if _key(row) not in known for id in (row["a"], row["b"])}
    fill((prints[id] for id in having if id in new), LOOKS[0])
    for row in rows:
        a, b = row["a"], row["b"]
        if (same := known.get(_key(row))) is None:
            result = decide(prints[a], prints[b], LOOKS, subject.rows(methods[a][1], slot), HOPELESS)
            same = {**row, **record(result, methods[a][1], slot), "assumptions": []}
        yield same


def draw_by_draw(kb: KB, row: dict[str, Any]) -> dict[str, Any]:
    """A pair with equal updates as the same loss, if its random numbers can be matched; else as it is."""
    nodes = (kb.nodes[row[name]] for name in ("a", "b"))
    sides = (Side(compose.of_node(node, hyper=laboratory_hyper(node)), subject.setting(node)) for node in nodes)
    shown = Both(*sides, row["slot"], subject.SCENES["drifted"](2)).row()
    named = {name: row[name] for name in ("a", "b", "slot", "made_from")}
    tried = {"matched_by": modules_hash(*MATCHING)}
    return {**named, **shown, "variance_ratio": 1.0, "assumptions": [], **tried} if shown else {**row, **tried}


def may_be_one_loss(row: dict[str, Any]) -> bool:
    """Whether a pair is equal on average at every policy, and nobody has asked whether it is so draw by draw."""
    asked = row.get("matched_by") == modules_hash(*MATCHING)
    return row["verdict"] == "equal" and row["level"] in ("same-update", "same-loss") and not asked


def _matched(kb: KB, row: dict[str, Any]) -> dict[str, Any]:
    return draw_by_draw(kb, row) if may_be_one_loss(row) else row


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
    level = "same-update" if row["level"] == "same-loss" else row["level"]
    return (row["a"], row["b"], row["slot"], level, row["made_from"])
