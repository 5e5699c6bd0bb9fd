"""What critics should end at: the mean reward of an action plus what follows it, or the law of that sum.

They share no code with the losses; `backup_oracles` has what follows. The path cost that stands for a log-density is a
part, which the published losses do not use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.backup_oracles import (
    CONTINUES,
    ROWS,
    Case,
    candidates,
    contexts,
    mean_reward,
    of_policy,
    of_state,
    over_heads,
    planned,
)
from flowrl_kb.certify.features import ATOMS
from flowrl_kb.certify.laboratory import Scenario
from flowrl_kb.certify.presentation import ENDS, REWARD_STD, TEMPERATURE
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts import likelihood
from flowrl_kb.parts.types import Array, Key, Path

Output = dict[str, Callable[[Array, Array], Array]]
"""What a critic outputs at (s, a), by the names of `presentation.models`."""
DRAWS = 16384
"""Next contexts behind a spread, which is no mean of theirs, so that errors of batches would not average out."""
FINE = 16
"""Cells of the histogram of continuations between two atoms."""
TURNS = 20
"""Steps of the fixed point of an entropy bonus of an output."""
OTHER = {"min": "mean", "mean": "min", "lcb": "min"}
"""How a control reads the heads of the next action."""
SHORTER = 1.5
"""By what the discount of a control is divided where no heads are read together."""


def _both(value: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda s, a: jnp.broadcast_to(value(s, a), (2, *a.shape[:-1]))


def _fresh(s: Array) -> Key:
    """A key of its own for every batch of contexts."""
    return jax.random.fold_in(jax.random.key(2), jax.lax.bitcast_convert_type(s.ravel()[0], jnp.uint32))


def scalar(case: Case, ahead: Callable[[Case, Scenario, Key, int], Array], scene: Scenario, path: Path) -> Output:
    """Both heads at E[reward] + continuation."""
    return {"heads": _both(lambda s, a: mean_reward(scene, s, a) + ahead(case, scene, _fresh(s), ROWS))}


def gaussian(case: Case, scene: Scenario, path: Path) -> Output:
    """Means as `scalar`; spread^2 = E clip(z, -c m, c m)^2, z a drawn return less its mean.

    z is drawn from the head of smaller mean, within three of its deviations, c the bound `spread_clip`, m the mean of
    the averaged spread at data actions.
    """
    k_context, k_next, k_draw, k_reward, k_end, k_data = jax.random.split(jax.random.key(3), 6)
    models, s = case.models(scene), contexts(k_context, DRAWS)
    a = candidates(case, models, k_next, s)[0]
    q, spread = models.target_critic(s, a), models.target_spread(s, a)
    first = q[0] < q[1]
    z = jnp.clip(jax.random.normal(k_draw, s.shape[:1]), -3.0, 3.0)
    drawn = jnp.where(first, q[0], q[1]) + jnp.where(first, spread[0], spread[1]) * z
    goes_on = jax.random.uniform(k_end, z.shape) < CONTINUES
    after = case.discount * CONTINUES * jnp.mean(case.over(q))
    gap = REWARD_STD * jax.random.normal(k_reward, z.shape) + case.discount * goes_on * drawn - after
    of_data = models.target_spread(s, lab.draw(lab.law(scene, case.shown.data), k_data, s))
    bound = case.hyper["spread_clip"] * jnp.mean(of_data, axis=-1, keepdims=True)
    exact = jnp.sqrt(jnp.mean(jnp.clip(gap, -bound, bound) ** 2, axis=-1))
    return {
        **scalar(case, of_policy, scene, path),
        "spread": lambda s, a: jnp.broadcast_to(jnp.expand_dims(exact, range(1, a.ndim)), (2, *a.shape[:-1])),
    }


def categorical(case: Case, scene: Scenario, path: Path) -> Output:
    """The law p of each head at which p (1 + c (log p + H(p))) is the mean projected law of the return.

    The return is reward + gamma (1 - done)(z' + bonus) cut to the atoms' range, c = `output_entropy`. The gradient at p
    is linear in the projected law, so that fresh draws may stand for its mean.
    """
    low, high, weight = (case.hyper[name] for name in ("value_min", "value_max", "output_entropy"))
    atoms, gap = jnp.linspace(low, high, ATOMS), (high - low) / (ATOMS - 1)

    def heads(s: Array, a: Array) -> Array:
        points, law = continued(case, scene, atoms, _fresh(s), ROWS)
        returned = jnp.clip(mean_reward(scene, s, a)[..., None] + points, low, high)
        near = jnp.maximum(1.0 - jnp.abs(returned[..., None] - atoms) / gap, 0.0)
        log_p = jnp.log(_rewarded(jnp.einsum("g,...gn->...n", law, near), weight))
        return jnp.broadcast_to(log_p, (2, *log_p.shape))

    return {"logits": heads}


def continued(case: Case, scene: Scenario, atoms: Array, key: Key, rows: int) -> tuple[Array, Array]:
    """Points (cells,) and the mass there of what comes on top of the mean reward: noise, and gamma (z' + bonus)."""
    k_context, k_draw, k_reward = jax.random.split(key, 3)
    s, models, width = contexts(k_context, rows), case.models(scene), (atoms[1] - atoms[0]) / FINE
    a, log_ratio = likelihood.noising_ratio(case.actor(models), k_draw, s)
    mass = jnp.mean(jax.nn.softmax(models.target_logits(s, a), axis=-1), axis=0) / rows
    noise = REWARD_STD * jax.random.normal(k_reward, (rows, 1))
    ahead = noise + case.discount * (atoms - TEMPERATURE * log_ratio[:, None])
    edge, cells = 2.0 * (atoms[0] - atoms[-1]), 4 * (ATOMS - 1) * FINE + 1
    law = CONTINUES * _histogram(ahead, mass, edge, width, cells)
    law = law + ENDS * _histogram(noise, jnp.full_like(noise, 1.0 / rows), edge, width, cells)
    return edge + width * jnp.arange(cells), law


def _histogram(x: Array, mass: Array, edge: float, width: float, cells: int) -> Array:
    """Mass (cells,) of x at edge + width i, each x shared between its two neighbours, so that the mean is kept."""
    at = jnp.clip((x - edge) / width, 0.0, cells - 1.001).ravel()
    below = jnp.floor(at).astype(int)
    share, mass = at - below, mass.ravel()
    return jnp.zeros(cells).at[below].add(mass * (1.0 - share)).at[below + 1].add(mass * share)


def _rewarded(target: Array, weight: float) -> Array:
    """p (..., n) with p (1 + weight (log p + H)) = target: cross-entropy less `weight` times the entropy H of p."""
    target = jnp.maximum(target, 1e-12)

    def turn(_, p: Array) -> Array:
        entropy = -jnp.sum(p * jnp.log(p), axis=-1, keepdims=True)
        p = target / jnp.maximum(1.0 + weight * (jnp.log(p) + entropy), 0.1)
        return p / jnp.sum(p, axis=-1, keepdims=True)

    return jax.lax.fori_loop(0, TURNS, turn, target / jnp.sum(target, axis=-1, keepdims=True))


def exact(node: Node, hyper: dict[str, Any], wrong: bool = False) -> Callable[[Scenario, Path], Output]:
    """What the critic of a node should output, or a wrong one: other heads, or a shorter horizon, stand for control."""
    aggregation, pessimism = node["backup-aggregation"], hyper.get("pessimism", 0.0)
    reads_one = aggregation == "none" or node["critic-output"] == "categorical"
    over = OTHER.get(aggregation, "min") if wrong else aggregation
    case = Case(
        node,
        hyper,
        over_heads("min" if reads_one else over, pessimism),
        hyper["discount"] / (SHORTER if wrong and reads_one else 1.0),
    )
    if node["critic-output"] in ("gaussian", "categorical"):
        return partial({"gaussian": gaussian, "categorical": categorical}[node["critic-output"]], case)
    ahead = {"planned": planned, "q-pi": of_policy, "q-soft": of_policy, "q-soft-integral": of_policy}
    return partial(scalar, case, ahead.get(node["critic"], of_state))
