"""What the network outputs. Conditional axis `prediction`.

Each function maps a network output at (x, t) to the pair (denoised action, noise); the inverse, `target`, says what
the output should be for a known pair.
"""

from __future__ import annotations

from flowrl_kb.parts.path import coefficients, rates
from flowrl_kb.parts.types import Array, Path


def eps(path: Path, out: Array, x: Array, t: Array) -> tuple[Array, Array]:
    """Noise prediction: x0 = (x - sigma eps) / alpha."""
    alpha, sigma = coefficients(path, t)
    return (x - sigma * out) / alpha, out


def x0(path: Path, out: Array, x: Array, t: Array) -> tuple[Array, Array]:
    """Action prediction: eps = (x - alpha x0) / sigma."""
    alpha, sigma = coefficients(path, t)
    return out, (x - alpha * out) / sigma


def velocity(path: Path, out: Array, x: Array, t: Array) -> tuple[Array, Array]:
    """Velocity prediction: solve x = alpha a + sigma eps, v = alpha' a + sigma' eps for (a, eps)."""
    alpha, sigma = coefficients(path, t)
    d_alpha, d_sigma = rates(path, t)
    determinant = alpha * d_sigma - sigma * d_alpha
    return (d_sigma * x - sigma * out) / determinant, (alpha * out - d_alpha * x) / determinant


def score(path: Path, out: Array, x: Array, t: Array) -> tuple[Array, Array]:
    """Score prediction: eps = -sigma score."""
    return eps(path, -path.sigma(t)[..., None] * out, x, t)


def target(prediction: str, path: Path, a: Array, noise: Array, t: Array) -> Array:
    """The output that a network of this prediction should give for the pair (a, noise) at level t."""
    _, sigma = coefficients(path, t)
    d_alpha, d_sigma = rates(path, t)
    outputs = {
        "eps": lambda: noise,
        "x0": lambda: a,
        "velocity": lambda: d_alpha * a + d_sigma * noise,
        "score": lambda: -noise / sigma,
    }
    return outputs[prediction]()
