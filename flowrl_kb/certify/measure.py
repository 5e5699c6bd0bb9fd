"""What `certify` measures of one method; each function can run in a process of its own (see `side_by_side`)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from flowrl_kb import compose
from flowrl_kb.certify import certificate, laws, pairs, stationarity, subject
from flowrl_kb.certify.compare import LOOKS
from flowrl_kb.certify.fingerprint import fill
from flowrl_kb.certify.store import code_hash
from flowrl_kb.kb.load import load
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.verdicts import card_hash

Rows = list[dict[str, Any]]
knowledge = cache(load)


def _made_with(node: Node, **more: Any) -> dict[str, str]:
    """From which card and code the rows of a method are made."""
    return {"card_hash": card_hash(node.card), "code_hash": code_hash(node.id, **more)}


def fresh(node: Node, certificates: Rows, mutations: Rows, mutate: bool) -> bool:
    """Whether the stored certificates of a method were made from its present card and code."""
    made = _made_with(node).items()
    return bool(certificates) and bool(mutations or not mutate) and all(made <= row.items() for row in certificates)


def certificates(id: str, mutate: bool, stored: dict[str, Rows]) -> tuple[str, Rows, Rows | None, float]:
    """The certificates of a method, its mutations where they are asked for, and the seconds that they took."""
    began, kb = time.perf_counter(), knowledge()
    node = kb.nodes[id]
    rows, mutants = certificate.certify(kb, node, mutate, stored)
    made = [row | _made_with(node) for row in rows]
    return id, made, mutants if mutate else None, time.perf_counter() - began


def _rest_made_with(node: Node) -> dict[str, str]:
    return _made_with(node, more=(*stationarity.ORACLES, stationarity))


def rest_is_fresh(node: Node, stored: Rows) -> bool:
    """The same of what is stored of a method's objects at rest."""
    made = _rest_made_with(node).items()
    return bool(stored) and all(made <= row.items() for row in stored)


def at_rest(id: str, stored: Rows) -> tuple[str, Rows]:
    """Whether the objects of a method rest where its card says that they end."""
    node = knowledge().nodes[id]
    return id, [row | _rest_made_with(node) for row in stationarity.certify(node, stored)]


def for_pairs(id: str) -> None:
    """The first replicates of all updates of a method, which its comparison with the others starts from."""
    node = knowledge().nodes[id]
    method = compose.of_node(node, hyper=subject.laboratory_hyper(node))
    asked = [(slot, level) for slot in subject.slots(method) for level in pairs.LEVELS if pairs.asked(slot, level)]
    fill((subject.fingerprint(node, slot, pairs.LEVELS[level]) for slot, level in asked), LOOKS[0])


def law(id: str, force: bool) -> tuple[str, Rows]:
    """The laws that a method reaches on the bandits."""
    kb = knowledge()
    return id, laws.measure(kb, kb.nodes[id], force)
