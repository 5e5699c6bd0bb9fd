"""Which operator chooses the next action of a Bellman target. Mechanism axis `backup`; each returns (B,) values."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Batch, Key, Models


def _next(models: Models, batch: Batch, key: Key, policy: str, n: int) -> tuple[Array, Array]:
    actor = models.target_actor if policy == "target" else models.actor
    a = actor.sample(key, batch.next_s, (n,))
    return a, models.target_critic(batch.next_s, a)


def identity(models: Models, batch: Batch, key: Key, *, backup_policy="online", backup_aggregation="min") -> Array:
    """The smallest (or mean) target head at one policy action."""
    _, heads = _next(models, batch, key, backup_policy, 1)
    return (jnp.min if backup_aggregation == "min" else jnp.mean)(heads[:, 0], axis=0)


def rank(models: Models, batch: Batch, key: Key, *, backup_of, backup_policy="online") -> Array:
    """Each head's maximum over N policy actions, then the smallest head."""
    _, heads = _next(models, batch, key, backup_policy, backup_of)
    return jnp.min(jnp.max(heads, axis=1), axis=0)


def exponential(models: Models, batch: Batch, key: Key, *, backup_of, temperature, backup_policy="online") -> Array:
    """The softmax average of the smallest head over N policy actions."""
    _, heads = _next(models, batch, key, backup_policy, backup_of)
    q = jnp.min(heads, axis=0)
    return jnp.sum(jax.nn.softmax(q / temperature, axis=0) * q, axis=0)
