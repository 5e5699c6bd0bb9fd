"""What a loss is held against: every executable method, and the runnable cells of the actor axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flowrl_kb import compose
from flowrl_kb.certify import subject
from flowrl_kb.certify.fingerprint import Fingerprint
from flowrl_kb.certify.mutation import mutants, plumbed
from flowrl_kb.certify.subject import laboratory_hyper
from flowrl_kb.errors import UserError
from flowrl_kb.kb.cells import constraints, violations
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Method

PLAIN = {
    "path": "vp",
    "prediction": "eps",
    "sampler": "ancestral",
    "loss-space": "eps",
    "guidance-scale": "score",
    "normaliser": "none",
    "temperature-control": "fixed",
    "aggregation": "min",
    "critic-output": "scalar",
    "setting": "online-off-policy",
}
"""Conditional axes of a cell that no method and no neighbour of one fills."""
WITHOUT_FIELD = {"path": "none", "prediction": "none", "sampler": "none", "loss-space": "likelihood"}
"""The same for policies without noise levels."""
BESIDE = {
    "likelihood-ratio": ("none", "advantage", "none", "on-policy"),
    "regression-signed": ("none", "group", "none", "on-policy"),
    "inference-selection": ("identity", "q-pi", "scalar", "online-off-policy"),
}
"""Backup, critic, critic output and setting that go with a route; they do not enter the actor's update."""


class Entry(NamedTuple):
    """One candidate: a method or core (`node`), or a cell, `near` a method or not; coordinates and hyper-parameters."""

    node: Node | None
    near: str
    cell: Mapping[str, str]
    hyper: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.node.id if self.node else self.near

    def method(self) -> Method:
        if self.node:
            return compose.of_node(self.node, hyper=self.hyper)
        return compose.compose("cell", self.cell, self.hyper)

    def fingerprint(self, scenes: str = "drifted") -> Fingerprint:
        if self.node:
            return subject.fingerprint(self.node, "actor", scenes)
        return subject.of_cell("cell", self.cell, self.hyper, "actor", scenes)


def methods(kb: KB, policy: str) -> Iterator[Entry]:
    """Every executable method and stripped core whose actor is of the given kind.

    A field that trains the noise of its steps beside it is of another kind: its update has more blocks.
    """
    for node in kb.nodes.values():
        if node["policy"] == policy and (node.variant is None or node.is_core):
            hyper = laboratory_hyper(node)
            try:
                made = compose.of_node(node, hyper=hyper)
            except UserError:
                continue
            if made.trains["actor"] == policy:
                yield Entry(node, "", node.coordinates, hyper)


def neighbours(kb: KB, policy: str) -> Iterator[Entry]:
    """Every runnable cell one mechanism step away from a method, with that method's conditional axes."""
    for entry in methods(kb, policy):
        for axis, value, cell, hyper in mutants(kb, entry.node, "actor"):
            if cell["policy"] == policy:
                yield Entry(None, f"{entry.node.id} with {axis}={value}", cell, hyper)


def points(kb: KB, policy: str) -> Iterator[dict[str, str]]:
    """Every point of the actor axes that no constraint forbids and whose route runs, with plain conditional axes."""
    axes = sorted((axis.id for axis in kb.actor_axes), key=lambda axis: axis != "route")
    plain = PLAIN | {"policy": policy} | ({} if policy == "field" else WITHOUT_FIELD)
    rules = [rule for rule in constraints(kb) if rule.axes <= {*axes, "policy", "normaliser"}]

    def fill(depth: int, chosen: dict[str, str]) -> Iterator[dict[str, str]]:
        if depth == len(axes):
            yield chosen
            return
        for value in kb.axes[axes[depth]].values:
            if depth == 0 and not _has_part("route", value.id):
                continue
            cell = {**chosen, axes[depth]: value.id}
            if not any(rule.broken(cell) for rule in rules if axes[depth] in rule.axes):
                yield from fill(depth + 1, cell)

    for cell in fill(0, plain):
        backup, critic, output, setting = BESIDE.get(cell["route"], ("identity", "q-pi", "scalar", "online-off-policy"))
        acting = "rank" if cell["route"] == "inference-selection" else "noise"  # not part of the actor's update
        beside = {"backup": backup, "critic": critic, "critic-output": output, "setting": setting, "acting": acting}
        whole = plumbed(cell | beside)
        if not violations(kb, whole):
            yield whole


def _has_part(axis: str, value: str) -> bool:
    try:
        return bool(compose.part(axis, value))
    except UserError:
        return False


def runnable(kb: KB, policy: str) -> Iterator[Entry]:
    """Every point of the actor axes that has executable parts, with the laboratory's hyper-parameters."""
    for cell in points(kb, policy):
        try:
            hyper = compose.sufficient("cell", cell, {}, subject.HYPER)
        except (UserError, KeyError, AttributeError, TypeError):
            continue
        yield Entry(None, "", cell, hyper)


def point(kb: KB, entry: Entry) -> tuple[str, ...]:
    """The entry's policy kind and actor coordinates: what counts as one cell."""
    return (entry.cell["policy"], *(entry.cell[axis.id] for axis in kb.actor_axes))


def cells(kb: KB, policy: str) -> list[Entry]:
    """The neighbours of methods, then every runnable point that none of them and no method fills."""
    found = list(neighbours(kb, policy))
    seen = {point(kb, entry) for entry in (*methods(kb, policy), *found)}
    return found + [entry for entry in runnable(kb, policy) if point(kb, entry) not in seen]
