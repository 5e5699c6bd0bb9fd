"""The laws that improvement operators ask for, on a finite set or a grid. Shared by identities and witnesses."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

Array = np.ndarray


def exponential(nu: Array, q: Array, temperature: float) -> Array:
    """nu exp(Q / lambda) / Z."""
    p = nu * np.exp((q - q.max()) / temperature)
    return p / p.sum()


def linear(nu: Array, q: Array, temperature: float) -> Array:
    """nu (1 + (Q - c) / lambda)_+ with c such that it sums to one."""

    def excess(c: float) -> float:
        return float(np.sum(nu * np.maximum(1 + (q - c) / temperature, 0))) - 1.0

    c = brentq(excess, q.min() - 1.0, q.max() + temperature, xtol=1e-14, rtol=1e-15)
    return nu * np.maximum(1 + (q - c) / temperature, 0)


def reciprocal(nu: Array, q: Array, temperature: float) -> Array:
    """lambda nu / (c - Q), c > max Q such that it sums to one."""

    def excess(gap: float) -> float:
        return float(np.sum(temperature * nu / (gap + q.max() - q))) - 1.0

    gap = brentq(excess, 1e-3 * temperature * nu[q.argmax()], 2 * temperature, xtol=1e-15, rtol=1e-15)
    return temperature * nu / (gap + q.max() - q)


def kept(nu: Array, q: Array, least: float) -> Array:
    """nu of the actions with Q >= `least`, renewed to sum to one."""
    p = np.where(q >= least, nu, 0.0)
    return p / p.sum()


def best_of(nu: Array, q: Array, n: int) -> Array:
    """Law of the best of n draws: differences of powers of the distribution function of Q (ties broken by order)."""
    order = np.argsort(q, kind="stable")
    cdf = np.concatenate([[0.0], np.cumsum(nu[order])])
    p = np.empty_like(nu)
    p[order] = np.diff(cdf**n)
    return p


@lru_cache
def half_line(size: int = 200) -> tuple[Array, Array]:
    """Nodes and weights for integrals over u > 0, dense at zero: u = v^2 / (1 - v)^2, v Gauss-Legendre on (0, 1)."""
    node, weight = np.polynomial.legendre.leggauss(size)
    v = 0.5 * (node + 1)
    return (v / (1 - v)) ** 2, weight * v / (1 - v) ** 3


def self_normalised(nu: Array, weight: Array, n: int) -> Array:
    """Law of one of n draws of nu picked with probability proportional to its weight X.

    n nu X E[1 / (X + sum of n - 1 others)] with 1/y = int_0^inf exp(-u y) du, so that the expectation is a power of the
    Laplace transform of X: exact for every n.
    """
    u, du = half_line()
    scale = n * float(nu @ weight)
    kernel = np.exp(-np.outer(u / scale, weight))
    return n * nu * weight * (kernel.T @ ((kernel @ nu) ** (n - 1) * du)) / scale


def divergence(p: Array, nu: Array) -> float:
    """KL(p || nu)."""
    at = p > 0
    return float(np.sum(p[at] * np.log(p[at] / nu[at])))


def variation(p: Array, r: Array) -> float:
    """Total variation."""
    return float(0.5 * np.abs(p - r).sum())
