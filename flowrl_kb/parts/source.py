"""From which law the actor's inputs come. Mechanism axis `source`; each returns support actions (M, B, d)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.backup_policy import Executed
from flowrl_kb.parts.types import Array, Batch, Key, Models


def behaviour(models: Models, batch: Batch, key: Key, candidates: int) -> Array:
    """The data's own action (one candidate)."""
    return batch.a[None]


def replay(models: Models, batch: Batch, key: Key, candidates: int) -> Array:
    """The stored action of the batch (one candidate)."""
    return batch.a[None]


def rewritten(models: Models, batch: Batch, key: Key, candidates: int) -> Array:
    """The stored action as earlier updates have moved it (one candidate)."""
    return batch.stored[None]


def previous(models: Models, batch: Batch, key: Key, candidates: int, *, candidate_noise_std=None) -> Array:
    """Fresh actions of the frozen previous policy; with noise N(0, `candidate_noise_std`^2) they are those of its law
    smoothed by it."""
    if candidate_noise_std is None:
        return models.old.sample(key, batch.s, (candidates,))
    k_action, k_noise = jax.random.split(key)
    a = models.old.sample(k_action, batch.s, (candidates,))
    return a + candidate_noise_std * jax.random.normal(k_noise, a.shape)


def current(models: Models, batch: Batch, key: Key, candidates: int) -> Array:
    """Fresh actions of the policy being trained, as constants of the loss."""
    return jax.lax.stop_gradient(models.actor.sample(key, batch.s, (candidates,)))


def executed(models: Models, batch: Batch, key: Key, candidates: int, *, act) -> Array:
    """Fresh actions of the acting rule, selection and noise included, as constants of the loss."""
    return jax.lax.stop_gradient(Executed(act, models).sample(key, batch.s, (candidates,)))


def uniform(models: Models, batch: Batch, key: Key, candidates: int, radius: float = 1.0) -> Array:
    """Uniform actions on the box of half-width `radius`."""
    return jax.random.uniform(key, (candidates, *batch.a.shape), minval=-radius, maxval=radius)


def mixture(models: Models, batch: Batch, key: Key, candidates: int) -> Array:
    """The data's action joined with fresh actions of the previous policy: 1 + `candidates` support actions."""
    return jnp.concatenate([batch.a[None], previous(models, batch, key, candidates)])
