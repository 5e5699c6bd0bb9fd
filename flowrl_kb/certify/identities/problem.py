"""The one-dimensional problem of the identities: a value, a reference law, and quadrature on one grid.

Q(a) = -0.3 (a^2 - 1.5)^2 + 0.4 a, lambda = 0.7, reference N(0.3, 1.1^2), actions on [-6, 6]. Both sides of an identity
may read these definitions; how they are put together must differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray

LAMBDA = 0.7
MEAN, STD = 0.3, 1.1
GRID = np.linspace(-6.0, 6.0, 4001)
POINTS = np.linspace(-2.5, 2.5, 41)
ALPHA, SIGMA = 0.8, 0.6


def q(a: Array) -> Array:
    """A value with two unequal maxima."""
    return -0.3 * (a**2 - 1.5) ** 2 + 0.4 * a


def q_slope(a: Array) -> Array:
    return -1.2 * a * (a**2 - 1.5) + 0.4


def q_curvature(a: Array) -> Array:
    return -3.6 * a**2 + 1.8


def log_normal(a: Array, mean: float | Array, std: float | Array) -> Array:
    return -0.5 * ((a - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)


def log_reference(a: Array) -> Array:
    return log_normal(a, MEAN, STD)


def mass(log_weight: Array) -> Array:
    """Probabilities along the last axis."""
    p = np.exp(log_weight - log_weight.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def posterior(log_law: Array, x: Array, alpha: float, sigma: float, a: Array = GRID) -> Array:
    """p(a | x) on the grid for x = alpha a + sigma eps: (points, grid)."""
    return mass(log_law + log_normal(x[:, None], alpha * a, sigma))


def noised(log_law: Array, x: Array, alpha: float, sigma: float, a: Array = GRID) -> Array:
    """Density of x = alpha a + sigma eps at points, for probabilities proportional to exp(log_law) on the grid."""
    return np.exp(log_normal(x[:, None], alpha * a, sigma)) @ mass(log_law)


def slope(function, x: Array, h: float = 1e-3) -> Array:
    """Derivative by a five-point difference."""
    return (8 * (function(x + h) - function(x - h)) - function(x + 2 * h) + function(x - 2 * h)) / (12 * h)


def noised_score(log_law: Array, x: Array, alpha: float, sigma: float, a: Array = GRID) -> Array:
    """Derivative of the log-density of the noised law, by differences and not from a posterior mean."""
    return slope(lambda y: np.log(noised(log_law, y, alpha, sigma, a)), x)


def hermite(size: int = 60) -> tuple[Array, Array]:
    """Nodes and weights for expectations under N(0, 1)."""
    node, weight = np.polynomial.hermite_e.hermegauss(size)
    return node, weight / weight.sum()


def gap(a: Array | float, b: Array | float) -> float:
    """Largest absolute deviation."""
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b))))


class Schedule(NamedTuple):
    """A forward path with its rates written out."""

    alpha: Array
    sigma: Array
    d_alpha: Array
    d_sigma: Array


def cosine(t: Array) -> Schedule:
    c, s = np.cos(0.5 * np.pi * t), np.sin(0.5 * np.pi * t)
    return Schedule(c, s, -0.5 * np.pi * s, 0.5 * np.pi * c)


def straight(t: Array) -> Schedule:
    return Schedule(1.0 - t, t, -np.ones_like(t), np.ones_like(t))


def exploding(t: Array) -> Schedule:
    return Schedule(np.ones_like(t), t, np.zeros_like(t), np.ones_like(t))
