"""The memoryless process on a straight path, whose drift a field controls: its chain, and what its noise weighs.

With v the velocity towards data (minus `field.velocity`), level t = grid[k], the next level u and h = t - u, a step is
x' = x + h (2 v(x, t) - x / alpha_u) + sqrt(h) sigma_k xi with sigma_k^2 = 2 (2 t - u) / alpha_u. So much noise makes
the end independent of the start; with less, the start keeps a share in what a penalty on the path ends at.
Source: Adjoint Matching (2409.08861); QAM (2601.14234).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, FieldPolicy, Key


def variance(field: FieldPolicy) -> Array:
    """sigma_k^2 of every step, (K,)."""
    t, u = field.grid[:-1], field.grid[1:]
    return 2.0 * (2.0 * t - u) / field.path.alpha(u)


def scale(field: FieldPolicy) -> Array:
    """alpha_t sigma_k^2 / 2, (K,): a tilt with gradient G moves the velocity by sigma_k^2 G / 2, the noise by this G.

    sigma_t where steps are small: the score moves by G.
    """
    return 0.5 * field.path.alpha(field.grid[:-1]) * variance(field)


def weight(field: FieldPolicy) -> Array:
    """4 / sigma_k^2, (K,): a velocity error counts as the change of the drift, in units of the noise."""
    return 4.0 / variance(field)


def drift(field: FieldPolicy, x: Array, k: Array, s: Array, level: int = 0) -> Array:
    """2 v(x, t) - x / alpha_u at step k; with `level` 1 the field is read at the next level u."""
    t = jnp.broadcast_to(field.grid[k + level], x.shape[:-1])
    return -2.0 * field.velocity(x, t, s) - x / field.path.alpha(field.grid[k + 1])


def chain(field: FieldPolicy, reference: FieldPolicy, key: Key, s: Array) -> Array:
    """States (K+1, B, d) of the field's process from unit noise; the last step is one of the reference's flow.

    Source: official agents/qam.py, which follows Adjoint Matching there.
    """
    k_start, k_noise = jax.random.split(key)
    x = jax.random.normal(k_start, (*s.shape[:-1], field.dim))
    h, std = field.grid[:-1] - field.grid[1:], jnp.sqrt(variance(field))

    def advance(x: Array, k: Array) -> tuple[Array, Array]:
        noise = jax.random.normal(jax.random.fold_in(k_noise, k), x.shape)
        x = x + h[k] * drift(field, x, k, s) + jnp.sqrt(h[k]) * std[k] * noise
        return x, x

    last = field.grid.shape[0] - 2
    x_last, states = jax.lax.scan(advance, x, jnp.arange(last))
    t = jnp.broadcast_to(field.grid[last], s.shape[:-1])
    end = x_last - h[last] * reference.velocity(x_last, t, s)
    return jnp.concatenate([x[None], states, end[None]])
