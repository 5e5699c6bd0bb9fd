"""How an actor reads an ensemble of critics. Conditional axis `aggregation`.

Each function maps heads (H, ...) and a key to (value, heads left over); the left-over heads serve normalisers that
must not share noise with the numerator.
"""

from __future__ import annotations

from functools import reduce

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Key


def min(heads: Array, key: Key) -> tuple[Array, Array]:
    """The smallest head at each point. Also called clipped double Q.

    Written with selections: the gradient of `jnp.min` divides by how many heads equal the minimum, and where the
    compiler computes the heads a second time with another rounding that number is zero.
    """
    return reduce(lambda a, b: jnp.where(b < a, b, a), heads), heads


def lcb(heads: Array, key: Key, *, pessimism) -> tuple[Array, Array]:
    """The mean minus `pessimism` standard deviations over heads. Also called lower confidence bound."""
    variance = jnp.var(heads, axis=0)
    # The square root has no finite gradient where all heads agree; there the deviation is at its minimum.
    deviation = jnp.where(variance == 0.0, 0.0, jnp.sqrt(jnp.where(variance == 0.0, 1.0, variance)))
    return jnp.mean(heads, axis=0) - pessimism * deviation, heads


def mean(heads: Array, key: Key) -> tuple[Array, Array]:
    """The mean over heads."""
    return jnp.mean(heads, axis=0), heads


def random(heads: Array, key: Key) -> tuple[Array, Array]:
    """One head for the whole batch, drawn uniformly."""
    rolled = jnp.roll(heads, jnp.int32(heads.shape[0] * jax.random.uniform(key)), axis=0)
    return rolled[0], rolled[1:]


def first(heads: Array, key: Key) -> tuple[Array, Array]:
    """The first head."""
    return heads[0], heads[1:]
