"""How Q, defined on clean actions, acts on noisy ones. Mechanism axis `intermediate-value`.

Each function returns the action gradient of the intermediate value at x, in units of Q: (M, B, d). `q(a) -> (..., B)`
is the aggregated critic at the batch's states, `slope` the derivative of the log-tilt.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from flowrl_kb.parts.direction import Draws
from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.types import Array, FieldPolicy

Value = Callable[[Array], Array]


def gradient(q: Value, a: Array) -> Array:
    """The action gradient of q at a (..., d)."""
    return jax.grad(lambda points: jnp.sum(q(points)))(a)


def naive(field: FieldPolicy, q: Value, draws: Draws, s: Array, slope) -> Array:
    """grad Q(x_t): the clean critic read at the noisy action."""
    return gradient(q, draws.x)


def posterior_mean(field: FieldPolicy, q: Value, draws: Draws, s: Array, slope) -> Array:
    """grad_x Q(E[a | x_t]) with the denoised action of the current field. Also called Tweedie guidance."""
    return gradient(lambda x: q(field.x0(x, draws.t, s)), draws.x)


def soft(field: FieldPolicy, q: Value, draws: Draws, s: Array, slope) -> Array:
    """grad log-mean-exp(Q / lambda) over reverse candidates: (1/alpha) sum_k w_k grad Q(a_k).

    Source: iDEM (2402.06121), eq. 9, with the factor 1/alpha that a variance-preserving path needs.
    """
    w = jax.nn.softmax(slope * q(draws.a), axis=0)
    mixed = jnp.sum(w[..., None] * gradient(q, draws.a), axis=0, keepdims=True)
    return mixed / coefficients(field.path, draws.t)[0]


def return_(advantage: Array, steps: int, *, denoising_discount=1.0) -> Array:
    """gamma_dn^(steps-1-k) A for k = 0 (noisiest) to steps-1: one scalar shared by all denoising steps, (steps, B)."""
    return denoising_discount ** jnp.arange(steps - 1, -1, -1)[:, None] * advantage
