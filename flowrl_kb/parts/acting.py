"""What stands between the generator and the executed action. Mechanism axis `acting`.

Each function returns one action (B, d) for each state; critics are read through the smallest head unless said
otherwise. `acting_steps` are the sampler's steps when acting, where a card has fewer of them than in training.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts.guidance import extrapolated
from flowrl_kb.parts.operator import candidate_ascent
from flowrl_kb.parts.types import Array, Key, Models


def perturbed(models: Models, a: Array, key: Key, noise_std, scaled: bool = False) -> Array:
    """a + noise_std xi, with the standard deviation multiplied by the trained scalar when `scaled`."""
    scale = jnp.exp(models.log_temperature) if scaled else 1.0
    return a + noise_std * scale * jax.random.normal(key, a.shape)


def coarse(actor, steps: int | None):
    """A field policy whose sampler takes at most `steps` steps between its first and its last noise level.

    The levels are evenly chosen from the grid of K + 1; None keeps them all.
    """
    if steps is None:
        return actor
    last = len(actor.grid) - 1
    return replace(actor, grid=actor.grid[np.linspace(0, last, min(steps, last) + 1).round().astype(int)])


def _pick(a: Array, index: Array) -> Array:
    return jnp.take_along_axis(a, index[None, ..., None], axis=0)[0]


def _score(models: Models, s: Array, a: Array, critic: str, aggregation: str = "min") -> Array:
    heads = (models.target_critic if critic == "target" else models.critic)(s, a)
    return (jnp.mean if aggregation == "mean" else jnp.min)(heads, axis=0)


def identity(models: Models, s: Array, key: Key, *, acting_steps=None, acting_policy="online") -> Array:
    """One sample of the actor, or of its average."""
    actor = models.target_actor if acting_policy == "target" else models.actor
    return coarse(actor, acting_steps).sample(key, s)


def noise(
    models: Models, s: Array, key: Key, *, noise_std, temperature_control="fixed", box=None, acting_steps=None
) -> Array:
    """One sample plus Gaussian noise of deviation `noise_std`, times the trained scalar where one drives it."""
    k_sample, k_noise = jax.random.split(key)
    a = coarse(models.actor, acting_steps).sample(k_sample, s)
    a = perturbed(models, a, k_noise, noise_std, temperature_control == "noise")
    return a if box is None else jnp.clip(a, -box, box)


def rank(
    models: Models,
    s: Array,
    key: Key,
    *,
    best_of,
    noise_std=0.0,
    temperature_control="fixed",
    acting_critic="online",
    acting_aggregation="min",
    acting_steps=None,
    acting_policy="online",
) -> Array:
    """The best of N samples of the actor (or its average) by the smallest (or mean) head, plus noise where listed.

    The trained scalar multiplies that noise where it drives it.
    """
    k_sample, k_noise = jax.random.split(key)
    actor = models.target_actor if acting_policy == "target" else models.actor
    a = coarse(actor, acting_steps).sample(k_sample, s, (best_of,))
    best = jnp.argmax(_score(models, s, a, acting_critic, acting_aggregation), axis=0)
    return perturbed(models, _pick(a, best), k_noise, noise_std, temperature_control == "noise")


def ascent(
    models: Models,
    s: Array,
    key: Key,
    *,
    best_of,
    kept,
    action_steps,
    action_rate,
    acting_critic="online",
    acting_aggregation="min",
    acting_steps=None,
    box=None,
) -> Array:
    """The best of N samples of which the `kept` best have climbed Q (see `operator.candidate_ascent`)."""
    q = lambda a: _score(models, s, a, acting_critic, acting_aggregation)  # noqa: E731
    climb = candidate_ascent(kept=kept, action_steps=action_steps, action_rate=action_rate, box=box).move
    a = climb(q, coarse(models.actor, acting_steps).sample(key, s, (best_of,)))
    return _pick(a, jnp.argmax(q(a), axis=0))


def exponential(
    models: Models, s: Array, key: Key, *, best_of, acting_temperature, acting_critic="online", acting_steps=None
) -> Array:
    """One of N samples, drawn with softmax weights of the smallest head."""
    k_sample, k_pick = jax.random.split(key)
    a = coarse(models.actor, acting_steps).sample(k_sample, s, (best_of,))
    logits = _score(models, s, a, acting_critic) / acting_temperature
    return _pick(a, jax.random.categorical(k_pick, logits, axis=0))


def classifier_free(models: Models, s: Array, key: Key, *, guidance_weight, acting_steps=None) -> Array:
    """One sample of the field that lies beyond the actor as seen from the model of the data."""
    field = extrapolated(models.behaviour, models.actor, guidance_weight)
    return coarse(field, acting_steps).sample(key, s)


def mode(models: Models, s: Array, key: Key) -> Array:
    """The mean of a closed-form policy."""
    return models.actor.mean(s)
