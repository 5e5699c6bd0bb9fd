"""Which weight of a clean action the energy is an average of. Mechanism axis `energy-weight`.

Each function returns log w for values q (...) of actions, given the state values v (...) that trained ones are read
against.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp

from flowrl_kb.parts.types import Array

LogWeight = Callable[[Array, Array | None], Array]


def exponential(*, temperature) -> LogWeight:
    """w = exp(Q / lambda); a baseline would only shift the energy."""
    return lambda q, v: q / temperature


def soft_chi_square(*, temperature) -> LogWeight:
    """w = 1 + u/2 where u = (Q - V) / lambda is positive, e^u elsewhere: the inverse of f' for a joined divergence.

    f(w) = (w - 1)^2 above one and w log w - w + 1 below. Source: Diffusion-DICE (2407.20109), piecewise f-divergence.
    """

    def log_weight(q: Array, v: Array) -> Array:
        u = (q - v) / temperature
        return jnp.where(u > 0.0, jnp.log1p(0.5 * jnp.maximum(u, 0.0)), u)

    return log_weight
