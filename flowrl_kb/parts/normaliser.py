"""By what a value signal is divided. Conditional axis `normaliser`; every divisor is a constant of the loss.

`gradient` is the action gradient of Q and `density` that of the policy's log-density, each (..., d) where it is read.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array


def none(q: Array, rest: Array, gradient: Array | None = None, density: Array | None = None) -> Array:
    """One."""
    return jnp.ones(())


def mean_abs_q(q: Array, rest: Array, gradient: Array | None = None, density: Array | None = None) -> Array:
    """Batch mean of the absolute value itself. Source: TD3+BC (2106.06860), eq. 5."""
    return jax.lax.stop_gradient(jnp.mean(jnp.abs(q)))


def mean_abs_other_head(q: Array, rest: Array, gradient: Array | None = None, density: Array | None = None) -> Array:
    """Batch mean of the absolute value of a head that the numerator does not use. Source: Diffusion-QL's code."""
    return jax.lax.stop_gradient(jnp.mean(jnp.abs(rest[0])))


def mean_abs_gradient(q: Array, rest: Array, gradient: Array | None = None, density: Array | None = None) -> Array:
    """Batch mean of the absolute action gradient, over elements."""
    return jax.lax.stop_gradient(jnp.mean(jnp.abs(gradient)))


def gradient_ratio(q: Array, rest: Array, gradient: Array, density: Array) -> Array:
    """At each action the length of the gradient over that of the log-density's gradient: both are then equally long."""
    length, of_density = (jnp.linalg.norm(g, axis=-1, keepdims=True) for g in (gradient, density))
    return jax.lax.stop_gradient((length + 1e-8) / of_density)


def gradient_length(q: Array, rest: Array, gradient: Array, density: Array | None = None) -> Array:
    """At each action the length of its gradient, of which the direction is left. Source: ACA's and NC-LQL's code."""
    return jax.lax.stop_gradient(jnp.linalg.norm(gradient, axis=-1, keepdims=True) + 1e-8)
