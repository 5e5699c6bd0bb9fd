"""Forward paths: how noise joins actions. Conditional axis `path`."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Path


def _uniform(t_min: float, t_max: float):
    return lambda key, shape: jax.random.uniform(key, shape, minval=t_min, maxval=t_max)


def vp(t_min: float = 0.001, t_max: float = 0.9946) -> Path:
    """Variance-preserving path with the cosine schedule.

    alpha = cos(pi t / 2), sigma = sin(pi t / 2). Also called DDPM or cosine path. Not to be confused with `linear`.
    Source: Nichol and Dhariwal 2021, offset omitted. t_max < 1 keeps alpha above zero.
    """
    return Path(lambda t: jnp.cos(0.5 * jnp.pi * t), lambda t: jnp.sin(0.5 * jnp.pi * t), _uniform(t_min, t_max))


def ve(t_min: float = 0.01, t_max: float = 3.0) -> Path:
    """Variance-exploding path: alpha = 1, sigma = t. Also called EDM path. Source: Karras et al. 2022."""
    return Path(lambda t: jnp.ones_like(t), lambda t: t, _uniform(t_min, t_max))


def linear(t_min: float = 0.0, t_max: float = 1.0) -> Path:
    """Straight path: alpha = 1 - t, sigma = t. Also called rectified flow. Source: Liu et al. 2022.

    Not to be confused with papers that count time from noise to data; here t = 0 is clean.
    """
    return Path(lambda t: 1.0 - t, lambda t: t, _uniform(t_min, t_max))


def coefficients(path: Path, t: Array) -> tuple[Array, Array]:
    """alpha(t) and sigma(t), each with a trailing axis of length one so that they multiply actions."""
    return path.alpha(t)[..., None], path.sigma(t)[..., None]


def rates(path: Path, t: Array) -> tuple[Array, Array]:
    """Time derivatives of alpha and sigma, shaped as `coefficients`."""
    one = jnp.ones_like(t)
    return jax.jvp(path.alpha, (t,), (one,))[1][..., None], jax.jvp(path.sigma, (t,), (one,))[1][..., None]


def forward(path: Path, a: Array, t: Array, eps: Array) -> Array:
    """The noised action x = alpha(t) a + sigma(t) eps."""
    alpha, sigma = coefficients(path, t)
    return alpha * a + sigma * eps
