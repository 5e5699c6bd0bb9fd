"""By what a value signal is divided. Conditional axis `normaliser`; every divisor is a constant of the loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array


def none(q: Array, rest: Array, gradient: Array | None) -> Array:
    """One."""
    return jnp.ones(())


def mean_abs_q(q: Array, rest: Array, gradient: Array | None) -> Array:
    """Batch mean of the absolute value itself. Source: TD3+BC (2106.06860), eq. 5."""
    return jax.lax.stop_gradient(jnp.mean(jnp.abs(q)))


def mean_abs_other_head(q: Array, rest: Array, gradient: Array | None) -> Array:
    """Batch mean of the absolute value of a head that the numerator does not use. Source: Diffusion-QL's code."""
    return jax.lax.stop_gradient(jnp.mean(jnp.abs(rest[0])))


def mean_abs_gradient(q: Array, rest: Array, gradient: Array | None) -> Array:
    """Batch mean of the absolute action gradient, over elements."""
    return jax.lax.stop_gradient(jnp.mean(jnp.abs(gradient)))
