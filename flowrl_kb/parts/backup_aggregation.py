"""How a Bellman target reads an ensemble. Conditional axis `backup-aggregation`; heads (H, ...) to values (...)."""

from __future__ import annotations

import jax.numpy as jnp

from flowrl_kb.parts.types import Array


def min(heads: Array) -> Array:
    """The smallest head. Also called clipped double Q."""
    return jnp.min(heads, axis=0)


def mean(heads: Array) -> Array:
    """The mean over heads."""
    return jnp.mean(heads, axis=0)


def lcb(heads: Array, *, pessimism) -> Array:
    """The mean minus `pessimism` standard deviations over heads. Also called lower confidence bound."""
    return jnp.mean(heads, axis=0) - pessimism * jnp.std(heads, axis=0)
