"""What stands between the generator and the executed action. Mechanism axis `acting`.

Each function returns one action (B, d) for each state; critics are read through the smallest head unless said
otherwise.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Key, Models


def perturbed(models: Models, a: Array, key: Key, noise_std, scaled: bool = False) -> Array:
    """a + noise_std xi, with the standard deviation multiplied by the trained scalar when `scaled`."""
    scale = jnp.exp(models.log_temperature) if scaled else 1.0
    return a + noise_std * scale * jax.random.normal(key, a.shape)


def _pick(a: Array, index: Array) -> Array:
    return jnp.take_along_axis(a, index[None, ..., None], axis=0)[0]


def _score(models: Models, s: Array, a: Array, critic: str, aggregation: str = "min") -> Array:
    heads = (models.target_critic if critic == "target" else models.critic)(s, a)
    return (jnp.mean if aggregation == "mean" else jnp.min)(heads, axis=0)


def identity(models: Models, s: Array, key: Key) -> Array:
    """One sample."""
    return models.actor.sample(key, s)


def noise(models: Models, s: Array, key: Key, *, noise_std, temperature_control="fixed", box=None) -> Array:
    """One sample plus Gaussian noise of deviation `noise_std`, times the trained scalar where one drives it."""
    k_sample, k_noise = jax.random.split(key)
    a = perturbed(models, models.actor.sample(k_sample, s), k_noise, noise_std, temperature_control == "noise")
    return a if box is None else jnp.clip(a, -box, box)


def rank(
    models: Models,
    s: Array,
    key: Key,
    *,
    best_of,
    noise_std=0.0,
    acting_critic="online",
    acting_aggregation="min",
    acting_policy="online",
) -> Array:
    """The best of N samples of the actor (or its average) by the smallest (or mean) head, plus noise where listed."""
    k_sample, k_noise = jax.random.split(key)
    actor = models.target_actor if acting_policy == "target" else models.actor
    a = actor.sample(k_sample, s, (best_of,))
    best = jnp.argmax(_score(models, s, a, acting_critic, acting_aggregation), axis=0)
    return perturbed(models, _pick(a, best), k_noise, noise_std)


def exponential(models: Models, s: Array, key: Key, *, best_of, acting_temperature, acting_critic="online") -> Array:
    """One of N samples, drawn with softmax weights of the smallest head."""
    k_sample, k_pick = jax.random.split(key)
    a = models.actor.sample(k_sample, s, (best_of,))
    logits = _score(models, s, a, acting_critic) / acting_temperature
    return _pick(a, jax.random.categorical(k_pick, logits, axis=0))


def mode(models: Models, s: Array, key: Key) -> Array:
    """The mean of a closed-form policy."""
    return models.actor.mean(s)
