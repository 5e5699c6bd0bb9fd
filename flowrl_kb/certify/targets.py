"""Pairs by where their losses rest: at one object, or at two that are measurably different.

Only objects at which the published losses were found at rest count (see `stationarity`), so that a difference is one
between minimisers and not between formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.presentation import lab_path
from flowrl_kb.certify.resting import RETURNS, Prediction, predictions
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node

POINTS = 2048
APART = 0.1
"""Least distance of two objects, as a share of the first one's own spread, in some scenario: twice the wide margin."""
CLONE = ["unlimited capacity at every noise level"]
LIMIT = ["infinitely many candidates", "equal temperature"]
ONE_CRITIC = "both read the same critic"
ONE_DATA = "the returns are of actions of one policy"
UNPAIRED = ("critic", "step_critic")
"""Values of a policy, of steps and of noises: no two answers to one question."""


def pairs(kb: KB, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Compare every two losses of one slot that are at rest.

    Methods that read different critics rest at objects of one formula; the pair then keeps the assumption that both
    read the same critic.
    """
    at_rest = [row for row in rows if row["verdict"] == "stationary" and row["slot"] not in UNPAIRED]
    for one, other in combinations(at_rest, 2):
        if one["slot"] != other["slot"] or one["method"] == other["method"]:
            continue
        kinds = [row["field"].split(" of the ")[0] for row in (one, other)]
        found = _apart(kb, one, other) if kinds[0] != kinds[1] else _shared(one, other)
        if found:
            yield {"a": one["method"], "b": other["method"], "slot": one["slot"], "level": "same-target-field", **found}


def _shared(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    assumptions = list(LIMIT if one["candidates"] else CLONE)
    if RETURNS == one["field"]:
        assumptions.append(ONE_DATA)
    elif not one["candidates"] and one["field"] != "field of the data":
        assumptions.append("equal temperature or expectile")
    if one["field"] != other["field"]:
        assumptions.append(ONE_CRITIC)
    return {
        "verdict": "equal",
        **{name: max(one[name], other[name]) for name in ("worst_residual", "upper_bound", "margin")},
        "where": f"both at rest at the {one['field']}",
        "assumptions": assumptions,
    }


def _apart(kb: KB, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    nodes = [kb.nodes[row["method"]] for row in (one, other)]
    if one["slot"] == "value" and len({node["setting"] == "on-policy" for node in nodes}) > 1:
        return None  # their data differ, whatever the formulas
    objects = [_predicted(node, row) for node, row in zip(nodes, (one, other), strict=True)]
    if objects[0].dim != objects[1].dim:
        return None  # actions of a flow beside those of the data
    far, scene = distance(one["slot"], *zip(nodes, objects, strict=True))
    if far < APART:
        return None
    where = f"scenario {scene + 1}: at rest at the {one['field']} and at the {other['field']}"
    found = {"verdict": "different", "worst_residual": round(far, 4), "margin": APART, "where": where}
    # All are kept, because the objects are exact, of one temperature and of one critic.
    return found | {"assumptions": [*CLONE, *LIMIT, ONE_CRITIC]}


def _predicted(node: Node, row: dict[str, Any]) -> Prediction:
    return next(p for p in predictions(node) if (p.slot, p.name) == (row["slot"], row["field"]))


def distance(slot: str, one: tuple[Node, Prediction], other: tuple[Node, Prediction]) -> tuple[float, int]:
    """The largest distance of two objects over the scenarios with one critic for all, and in which.

    Root mean square over contexts, and over actions noised to the laboratory's levels: both see the same actions,
    noises and log-SNR, each on its own path. Relative to the first object's deviation, or to the size of a field.
    Energies are compared by their slopes, which guide the sampler: some are learned up to a function of level and
    state.
    """
    scenes = _with_one_critic(lab.drifted())
    found = []
    for i in range(len(scenes.laws.std)):
        scene = jax.tree.map(lambda a, i=i: jnp.asarray(a)[i], scenes)
        a, b = (_values(slot, scene, *pair) for pair in (one, other))
        centre = jnp.mean(a, axis=0) if slot == "value" else 0.0
        found.append(float(jnp.sqrt(jnp.mean((a - b) ** 2) / jnp.mean((a - centre) ** 2))))
    return max(found), int(np.argmax(found))


def _with_one_critic(scenes: lab.Scenario) -> lab.Scenario:
    """All heads and averages become the first head: objects must not differ because of which one they read."""
    heads = {name: getattr(scenes.critic, name)[:, :1] for name in ("height", "tilt", "offset")}
    one = scenes.critic._replace(**{name: np.repeat(x, 2, axis=1) for name, x in heads.items()})
    return scenes._replace(critic=one, target_critic=one)


def _values(slot: str, scene: lab.Scenario, node: Node, prediction: Prediction):
    path = lab_path(node["path"])
    exact = prediction.exact(scene, path)
    k_s, k_a, k_eps, k_level = jax.random.split(jax.random.key(0), 4)
    s = jax.random.uniform(k_s, (POINTS, lab.CONTEXT), minval=-1.0, maxval=1.0)
    if slot == "value":
        return jax.jit(exact)(s)
    t = path.sample_t(k_level, (POINTS,))
    a = lab.draw(lab.law(scene, "behaviour"), k_a, s)
    x = path.alpha(t)[:, None] * a + path.sigma(t)[:, None] * jax.random.normal(k_eps, a.shape)
    if slot == "energy":
        exact = jax.grad(lambda x, t, s, of=exact: jnp.sum(of(x, t, s)))
    return jax.jit(exact)(x, t, s)
