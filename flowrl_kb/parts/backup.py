"""Which operator chooses the next action of a Bellman target. Mechanism axis `backup`; each returns (B,) values."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Batch, Key, Models


def _next(
    models: Models, batch: Batch, key: Key, policy: str, n: int, noise_std=0.0, noise_clip=None, box=None
) -> tuple[Array, Array]:
    """N next actions of an actor, smoothed by (clipped) Gaussian noise, and their target heads (H, N, B)."""
    actor = {"online": models.actor, "target": models.target_actor, "old": models.old}[policy]
    k_sample, k_noise = jax.random.split(key)
    a = actor.sample(k_sample, batch.next_s, (n,))
    noise = noise_std * jax.random.normal(k_noise, a.shape)
    a = a + (noise if noise_clip is None else jnp.clip(noise, -noise_clip, noise_clip))
    a = a if box is None else jnp.clip(a, -box, box)
    return a, models.target_critic(batch.next_s, a)


def _over_heads(heads: Array, how: str, pessimism) -> Array:
    """min, mean or lcb (mean minus `pessimism` standard deviations) over the leading axis of heads."""
    if how == "min":
        return jnp.min(heads, axis=0)
    return jnp.mean(heads, axis=0) - (pessimism * jnp.std(heads, axis=0) if how == "lcb" else 0.0)


def identity(
    models: Models,
    batch: Batch,
    key: Key,
    *,
    backup_policy="online",
    backup_aggregation="min",
    backup_of=1,
    backup_noise_std=0.0,
    backup_noise_clip=None,
    pessimism=0.0,
    box=None,
    temperature_control="fixed",
) -> Array:
    """Each target head's mean over N policy actions (one by default), then min, mean or lcb over heads.

    The smoothing noise is multiplied by the trained scalar where that scalar drives the acting noise.
    """
    if temperature_control == "noise":
        backup_noise_std = backup_noise_std * jnp.exp(models.log_temperature)
    _, heads = _next(models, batch, key, backup_policy, backup_of, backup_noise_std, backup_noise_clip, box)
    return _over_heads(jnp.mean(heads, axis=1), backup_aggregation, pessimism)


def rank(
    models: Models,
    batch: Batch,
    key: Key,
    *,
    backup_of,
    backup_policy="online",
    backup_aggregation="min",
    pessimism=0.0,
) -> Array:
    """Each head's maximum over N policy actions, then min, mean or lcb over heads."""
    _, heads = _next(models, batch, key, backup_policy, backup_of)
    return _over_heads(jnp.max(heads, axis=1), backup_aggregation, pessimism)


def exponential(models: Models, batch: Batch, key: Key, *, backup_of, temperature, backup_policy="online") -> Array:
    """The softmax average of the smallest head over N policy actions."""
    _, heads = _next(models, batch, key, backup_policy, backup_of)
    q = jnp.min(heads, axis=0)
    return jnp.sum(jax.nn.softmax(q / temperature, axis=0) * q, axis=0)
