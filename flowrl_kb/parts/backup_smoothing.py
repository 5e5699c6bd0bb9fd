"""What is added to the next action of a Bellman target. Conditional axis `backup-smoothing`.

Each function maps actions (N, B, d) to actions. The deviation is multiplied by the trained scalar where that scalar
drives the acting noise.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Key, Models


def none(a: Array, key: Key, models: Models) -> Array:
    """Nothing."""
    return a


def gaussian(a: Array, key: Key, models: Models, *, backup_noise_std, temperature_control="fixed") -> Array:
    """Gaussian noise."""
    scale = jnp.exp(models.log_temperature) if temperature_control == "noise" else 1.0
    return a + scale * backup_noise_std * jax.random.normal(key, a.shape)


def clipped_gaussian(a: Array, key: Key, models: Models, *, backup_noise_std, backup_noise_clip) -> Array:
    """Gaussian noise cut at +-backup_noise_clip. Also called target policy smoothing."""
    return a + jnp.clip(backup_noise_std * jax.random.normal(key, a.shape), -backup_noise_clip, backup_noise_clip)
