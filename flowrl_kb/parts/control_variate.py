"""Share of the gradient target in a mixed regression. Hyper-parameter `control_variate`: a number, or `estimated`."""

from __future__ import annotations

import jax.numpy as jnp

from flowrl_kb.parts.types import Array

ESTIMATED = "estimated"


def share(
    w: Array,
    noise: Array,
    pull: Array,
    ratio: Array,
    *,
    control_variate: float | str = 1.0,
    control_variate_clip: float = jnp.inf,
    control_variate_ridge: float = 0.0,
) -> Array | float:
    """eta as given, or of least asymptotic variance for every action dimension, estimated from the same candidates.

    eta = sum_k w_k^2 (n_k - E_w n) (h_k - E_w h) / (sum_k w_k^2 (h_k - E_w h)^2 + ridge r^2), |eta| <= clip / r^2, with
    h = n - pull of mean zero under the posterior and r = sigma / alpha. Source: RFM (2601.08136), delta method; bound
    and ridge of its code. w (K, B), noise and pull (K, B, d), ratio (1, B, 1).
    """
    if control_variate != ESTIMATED:
        return control_variate

    def centred(f: Array) -> Array:
        return f - jnp.sum(w[..., None] * f, axis=0, keepdims=True)

    n, h, w2 = centred(noise), centred(noise - pull), jnp.square(w)[..., None]
    covariance, variance = (jnp.sum(w2 * f * h, axis=0, keepdims=True) for f in (n, h))
    bound = control_variate_clip / jnp.square(ratio)
    return jnp.clip(covariance / (variance + control_variate_ridge * jnp.square(ratio)), -bound, bound)
