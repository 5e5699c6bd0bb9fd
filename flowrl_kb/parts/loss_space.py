"""In which coordinates a regression error is measured. Conditional axis `loss-space`.

Each function returns the factor w(t) by which the squared noise error is multiplied; they realise the time weightings
that papers obtain by choosing a prediction. Source of the conversion: x = alpha a + sigma eps, differentiated.
"""

from __future__ import annotations

import jax.numpy as jnp

from flowrl_kb.parts.path import coefficients, rates
from flowrl_kb.parts.types import Array, Path


def eps(path: Path, t: Array) -> Array:
    """One."""
    return jnp.ones_like(t)


def x0(path: Path, t: Array) -> Array:
    """(sigma / alpha)^2: the error of the denoised action."""
    alpha, sigma = coefficients(path, t)
    return ((sigma / alpha) ** 2)[..., 0]


def velocity(path: Path, t: Array) -> Array:
    """((alpha sigma' - alpha' sigma) / alpha)^2: the error of the velocity; 1/(1-t)^2 on the linear path."""
    alpha, sigma = coefficients(path, t)
    d_alpha, d_sigma = rates(path, t)
    return (((alpha * d_sigma - d_alpha * sigma) / alpha) ** 2)[..., 0]


def preconditioned(path: Path, t: Array) -> Array:
    """1 + (sigma / alpha)^2 / c^2 with c = 0.5: the error of the preconditioned output F, a0 = c_skip x + c_out F.

    Source: Karras et al. 2022, table 1, sigma_data = c.
    """
    alpha, sigma = coefficients(path, t)
    return (1.0 + (sigma / alpha) ** 2 / 0.25)[..., 0]


def score(path: Path, t: Array) -> Array:
    """1 / sigma^2: the error of the score."""
    return (1.0 / coefficients(path, t)[1] ** 2)[..., 0]
