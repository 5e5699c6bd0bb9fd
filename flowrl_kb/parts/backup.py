"""Which operator chooses the next action of a Bellman target. Mechanism axis `backup`; each returns (B,) values.

`policy`, `smoothing` and `over_heads` are the functions of the axes backup-policy, -smoothing and -aggregation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Batch, Key, Models


class Next(NamedTuple):
    """How next actions are proposed and their heads are read."""

    policy: Callable
    smoothing: Callable
    over_heads: Callable
    box: float | None = None

    def heads(self, models: Models, batch: Batch, key: Key, n: int) -> Array:
        """Target heads (H, n, B) of n next actions, smoothed and clipped to the box."""
        k_sample, k_noise = jax.random.split(key)
        a = self.smoothing(self.policy(models).sample(k_sample, batch.next_s, (n,)), k_noise, models)
        return models.target_critic(batch.next_s, a if self.box is None else jnp.clip(a, -self.box, self.box))


def identity(models: Models, batch: Batch, key: Key, *, following: Next, backup_of=1) -> Array:
    """Each target head's mean over N policy actions (one by default), then over heads."""
    return following.over_heads(jnp.mean(following.heads(models, batch, key, backup_of), axis=1))


def rank(models: Models, batch: Batch, key: Key, *, following: Next, backup_of) -> Array:
    """Each head's maximum over N policy actions, then over heads."""
    return following.over_heads(jnp.max(following.heads(models, batch, key, backup_of), axis=1))


def selection(models: Models, batch: Batch, key: Key, *, following: Next, backup_of) -> Array:
    """The largest over N policy actions of what the heads say together."""
    return jnp.max(following.over_heads(following.heads(models, batch, key, backup_of)), axis=0)


def exponential(
    models: Models, batch: Batch, key: Key, *, following: Next, backup_of, temperature, backup_temperature=None
) -> Array:
    """The softmax average over N policy actions of what the heads say together; the backup may have its temperature."""
    q = following.over_heads(following.heads(models, batch, key, backup_of))
    return jnp.sum(jax.nn.softmax(q / (backup_temperature or temperature), axis=0) * q, axis=0)
