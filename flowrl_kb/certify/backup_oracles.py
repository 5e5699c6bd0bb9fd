"""What follows an action, on average: the number that a Bellman backup adds to the mean reward.

In the laboratory the next context depends on neither context nor action, so that one number holds the whole backup. It
is a mean over draws that are fresh in every batch: their error averages out over batches, and the test sees its size.
How next actions are drawn is a part, because they are those of that policy, as is the estimate of a log-density by
denoising errors; how candidates are read, closed entropies and divergences are written out here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import presentation
from flowrl_kb.certify.laboratory import Scenario
from flowrl_kb.certify.presentation import ENDS, REWARD_STD, TEMPERATURE, Setting
from flowrl_kb.certify.subject import setting
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts import steering
from flowrl_kb.parts.critic import denoising_log_prob
from flowrl_kb.parts.types import Array, Key, Models

ROWS = 1024
"""Next contexts behind the number in one batch: four times as many as its rows, so that they add little noise."""
CONTINUES = 1.0 - ENDS
Over = Callable[[Array], Array]


def contexts(key: Key, rows: int) -> Array:
    """Next contexts (rows, 2) of the laboratory."""
    return jax.random.uniform(key, (rows, lab.CONTEXT), minval=-1.0, maxval=1.0)


def over_heads(name: str, pessimism: float) -> Over:
    """How heads (2, ...) are read together: `min`, `mean`, or `lcb`, the mean less `pessimism` deviations."""
    low, high = (lambda q: jnp.minimum(q[0], q[1])), (lambda q: jnp.maximum(q[0], q[1]))
    return {
        "min": low,
        "mean": lambda q: 0.5 * (low(q) + high(q)),
        "lcb": lambda q: 0.5 * ((1.0 - pessimism) * high(q) + (1.0 + pessimism) * low(q)),
    }[name]


def softened(q: Array, temperature: float) -> Array:
    """The average of q (n, ...) over n with weights exp(q / temperature)."""
    weight = jnp.exp((q - jnp.max(q, axis=0)) / temperature)
    return jnp.sum(weight * q, axis=0) / jnp.sum(weight, axis=0)


READ: dict[str, Callable[[Array, Over, float], Array]] = {
    "identity": lambda q, over, _: over(jnp.mean(q, axis=1)),
    "rank": lambda q, over, _: over(jnp.max(q, axis=1)),
    "selection": lambda q, over, _: jnp.max(over(q), axis=0),
    "exponential": lambda q, over, temperature: softened(over(q), temperature),
}
"""What a backup makes of heads (2, n, ...) of n candidates."""
ACTORS = {"online": "actor", "target": "target_actor", "old": "old"}


class Case(NamedTuple):
    """What the continuation of a node depends on; `over` and `discount` differ in a control."""

    node: Node
    hyper: dict[str, Any]
    over: Over
    discount: float

    @property
    def shown(self) -> Setting:
        return setting(self.node)

    def models(self, scene: Scenario) -> Models:
        """The laboratory's, with a critic that is right but for a constant, which no rule for next actions sees."""
        rewards = lambda s, a: jnp.broadcast_to(mean_reward(scene, s, a), (2, *a.shape[:-1]))  # noqa: E731
        return presentation.models(self.shown, scene, {}, {"critic": lambda path: {"heads": rewards}})

    def actor(self, models: Models) -> Any:
        steer = steering.BESIDE.get(self.node["space"])
        actor = getattr(models, ACTORS[self.node["backup-policy"]])
        return steer(actor, models.behaviour, self.hyper["steering_scale"]) if steer else actor


def mean_reward(scene: Scenario, s: Array, a: Array) -> Array:
    return jnp.mean(lab.q_heads(scene.critic)(s, a), axis=0)


def candidates(case: Case, models: Models, key: Key, s: Array) -> Array:
    """Next actions (n, N, d) with the noise that smooths them, in the box of a card that has one."""
    a, box = _smoothed(case, models, key, s), case.hyper.get("box")
    return a if box is None else jnp.clip(a, -box, box)


def _smoothed(case: Case, models: Models, key: Key, s: Array) -> Array:
    node, hyper = case.node, case.hyper
    k_draw, k_noise = jax.random.split(key)
    n = hyper.get("backup_of", 1)
    if node["backup-policy"] in ACTORS:
        a = case.actor(models).sample(k_draw, s, (n,))
    else:
        act = compose.of_node(node, composed=True, hyper=hyper).act
        a = jax.vmap(lambda k: act(models, s, k))(jax.random.split(k_draw, n))
    if node["backup-smoothing"] == "none":
        return a
    noise = hyper["backup_noise_std"] * jax.random.normal(k_noise, a.shape)
    if node["temperature-control"] == "noise":
        noise = TEMPERATURE * noise
    most = hyper["backup_noise_clip"] if node["backup-smoothing"] == "clipped-gaussian" else jnp.inf
    return a + jnp.clip(noise, -most, most)


def divergence(case: Case, models: Models, key: Key, s: Array) -> Array:
    """sum_k KL (N,) of the steps of one chain from the data's, both of the forward chain's variance v.

    KL_k = v alpha_u^2 |eps - eps_b|^2 / 2 (alpha sigma)^2, from the level of alpha, sigma to that of alpha_u.
    """
    field = case.actor(models)
    chain, path = field.chain(key, s), field.path
    total = jnp.zeros(s.shape[0])
    for x, t, u in zip(chain[:-1], field.grid[:-1], field.grid[1:], strict=True):
        kept = path.alpha(t) / path.alpha(u)
        variance = path.sigma(t) ** 2 - (kept * path.sigma(u)) ** 2
        level = jnp.full(s.shape[:1], t)
        apart = jnp.sum((field.eps(x, level, s) - models.behaviour.eps(x, level, s)) ** 2, axis=-1)
        total = total + 0.5 * variance * apart / (kept * path.sigma(t)) ** 2
    return total


def values(case: Case, scene: Scenario, key: Key, rows: int) -> Array:
    """The values (rows,) of next contexts: what the backup reads from candidates, and the bonus of a soft critic."""
    k_context, k_draw, k_bonus = jax.random.split(key, 3)
    node, hyper, s, models = case.node, case.hyper, contexts(k_context, rows), case.models(scene)
    if node["critic"] == "q-soft-integral":
        a = case.actor(models).sample(k_draw, s)
        log_p = denoising_log_prob(case.actor(models), a, s, k_bonus, hyper["density_noises"])
        return case.over(models.target_critic(s, a)) - hyper["temperature"] * log_p
    a = candidates(case, models, k_draw, s)
    temperature = hyper.get("backup_temperature") or hyper.get("temperature")
    heads = models.target_critic(jnp.broadcast_to(s, (*a.shape[:-1], lab.CONTEXT)), a)
    read = READ[node["backup"]](heads, case.over, temperature)
    if node["critic"] != "q-soft":
        return read
    if node["space"] == "path":
        return read - hyper["temperature"] * divergence(case, models, k_bonus, s)
    log_std = getattr(models, ACTORS[node["backup-policy"]]).net(s)[1]
    return read + TEMPERATURE * jnp.sum(log_std + 0.5 * jnp.log(2.0 * jnp.pi * jnp.e), axis=-1)


def of_policy(case: Case, scene: Scenario, key: Key, rows: int) -> Array:
    """gamma E[(1 - done) value]."""
    return case.discount * CONTINUES * jnp.mean(values(case, scene, key, rows))


def of_state(case: Case, scene: Scenario, key: Key, rows: int) -> Array:
    """The same of a state value."""
    value = lab.state_value(scene.critic, case.shown.dim)
    return case.discount * CONTINUES * jnp.mean(value(contexts(key, rows)))


def planned(case: Case, scene: Scenario, key: Key, rows: int) -> Array:
    """E max(0, noise of the reward + gamma (1 - done) value): stored returns are what the reward is on average."""
    ahead = case.discount * values(case, scene, key, rows) / REWARD_STD
    density = jnp.exp(-0.5 * ahead**2) / jnp.sqrt(2.0 * jnp.pi)
    above = ahead * jax.scipy.stats.norm.cdf(ahead) + density
    return REWARD_STD * (CONTINUES * jnp.mean(above) + ENDS / jnp.sqrt(2.0 * jnp.pi))
