"""What `certify` measures of one method; each function can run in a process of its own (see `side_by_side`)."""

from __future__ import annotations

import time
from functools import cache
from types import ModuleType
from typing import Any

from flowrl_kb import compose
from flowrl_kb.certify import certificate, laws, pairs, stationarity, subject
from flowrl_kb.certify.compare import LOOKS
from flowrl_kb.certify.fingerprint import fill
from flowrl_kb.certify.resting import predictions
from flowrl_kb.certify.store import code_hash
from flowrl_kb.kb.load import load
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.verdicts import card_hash

Rows = list[dict[str, Any]]
knowledge = cache(load)


def _made_with(node: Node, *more: ModuleType) -> dict[str, str]:
    """From which card and code the rows of a method are made."""
    return {"card_hash": card_hash(node.card), "code_hash": code_hash(node.id, more=more)}


def _fresh(stored: Rows, made: dict[str, str]) -> bool:
    return bool(stored) and all(made.items() <= row.items() for row in stored)


def certificates_are_fresh(node: Node, stored: Rows) -> bool:
    """Whether the stored certificates of a method were made from its present card and code."""
    return _fresh(stored, _made_with(node, *pairs.MATCHING))


def certificates(id: str, stored: Rows) -> tuple[str, Rows, float]:
    """The certificates of a method, and the seconds that they took."""
    began, node = time.perf_counter(), knowledge().nodes[id]
    rows = certificate.certify(node, stored)
    return id, [row | _made_with(node, *pairs.MATCHING) for row in rows], time.perf_counter() - began


def mutations_are_fresh(node: Node, stored: Rows) -> bool:
    """The same of its mutations."""
    return _fresh(stored, _made_with(node))


def mutations(id: str, stored: Rows) -> tuple[str, Rows, float]:
    """The mutations of a method, and the seconds that they took."""
    began, kb = time.perf_counter(), knowledge()
    node = kb.nodes[id]
    rows = certificate.mutations(kb, node, stored)
    return id, [row | _made_with(node) for row in rows], time.perf_counter() - began


def rest_is_fresh(node: Node, stored: Rows) -> bool:
    """The same of what is stored of its objects at rest."""
    made = _made_with(node, *stationarity.ORACLES, stationarity)
    return _fresh(stored, made) if stored else not predictions(node)


def at_rest(id: str, stored: Rows) -> tuple[str, Rows]:
    """Whether the objects of a method rest where its card says that they end."""
    node = knowledge().nodes[id]
    made = _made_with(node, *stationarity.ORACLES, stationarity)
    return id, [row | made for row in stationarity.certify(node, stored)]


def for_pairs(id: str) -> None:
    """The first replicates of all updates of a method, which its comparison with the others starts from."""
    node = knowledge().nodes[id]
    method = compose.of_node(node, hyper=subject.laboratory_hyper(node))
    asked = [(slot, level) for slot in subject.slots(method) for level in pairs.LEVELS if pairs.asked(slot, level)]
    # A list, because making them parses modules, which two threads must not do at once (CPython 3.11).
    fill([subject.fingerprint(node, slot, pairs.LEVELS[level]) for slot, level in asked], LOOKS[0])


def one_loss(row: dict[str, Any]) -> tuple[dict[str, Any]]:
    """A pair whose updates are equal on average, compared draw by draw."""
    return (pairs.draw_by_draw(knowledge(), row),)


def law(id: str, force: bool) -> tuple[str, Rows]:
    """The laws that a method reaches on the bandits."""
    kb = knowledge()
    return id, laws.measure(kb, kb.nodes[id], force)
