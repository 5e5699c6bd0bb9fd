"""How training inputs are made from source actions. Mechanism axis `direction`."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.path import forward as noised
from flowrl_kb.parts.types import Array, FieldPolicy, Key


class Draws(NamedTuple):
    """Noisy inputs x (M, B, d) at levels t (M, B), with the clean candidates a (K, B, d) and noises eps (K, B, d).

    M = K for forward draws (each candidate has its own input); M = 1 for reverse draws (all candidates share it).
    """

    x: Array
    t: Array
    a: Array
    eps: Array


def forward(field: FieldPolicy, a: Array, key: Key, candidates: int, box: float | None) -> Draws:
    """Noise every source action a (M, B, d) once: x = alpha a + sigma eps."""
    k_time, k_noise = jax.random.split(key)
    t = field.path.sample_t(k_time, a.shape[:-1])
    eps = jax.random.normal(k_noise, a.shape)
    return Draws(noised(field.path, a, t, eps), t, a, eps)


def reverse(field: FieldPolicy, a: Array, key: Key, candidates: int, box: float | None) -> Draws:
    """Noise one source action a (1, B, d), then draw clean candidates (x - sigma n) / alpha around it."""
    k_forward, k_reverse = jax.random.split(key)
    start = forward(field, a[:1], k_forward, 1, None)
    alpha, sigma = coefficients(field.path, start.t)
    n = jax.random.normal(k_reverse, (candidates, *a.shape[1:]))
    guess = (start.x - sigma * n) / alpha
    return Draws(start.x, start.t, guess if box is None else jnp.clip(guess, -box, box), n)


def clean(policy: object, a: Array, key: Key, candidates: int, box: float | None) -> Draws:
    """The source actions themselves."""
    level = jnp.zeros(a.shape[:-1])
    return Draws(a, level, a, jnp.zeros_like(a))
