"""Critics: what pushes the value of an action when a state value is trained beside it."""

from __future__ import annotations

import numpy as np

from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.registry import identity

REWARD, NEXT = 0.7, 0.4
"""Of one transition: its reward, and the discounted value of the state that it leads to."""


def _expectile(u: np.ndarray) -> np.ndarray:
    return np.where(u > 0, 0.8, 0.2) * u**2


def _linear(u: np.ndarray) -> np.ndarray:
    return np.maximum(1 + 0.5 * u, 0) ** 2 - u


def _exponential(u: np.ndarray) -> np.ndarray:
    return np.exp(u) - u


def _affine_above(u: np.ndarray) -> np.ndarray:
    return np.where(u > 0, u + 0.25 * u**2, np.exp(np.minimum(u, 0)) - 1) - u


@identity(tolerance=1e-7, control=0.1)
def in_sample_backup() -> tuple[float, float]:
    """Whatever the loss of the state value, the push on Q(s, a) is that of the regression on r + gamma V(s').

    Derivatives in Q of the sum of both losses, by five-point differences, for the four losses of (Q - V) / lambda that
    define the in-sample values, against 2 (Q - r - gamma V) in closed form; the loss of V reads a fixed copy of Q.
    Control: it reads the trained Q. Source: own derivation; IQL (2110.06169), IVR (2303.15810).
    """
    q, v = p.q(p.POINTS), 0.25 * np.sin(3 * p.POINTS)
    closed = 2 * (q - REWARD - NEXT * np.cos(p.POINTS))

    def push(loss, held: bool) -> np.ndarray:
        def both(trained: np.ndarray) -> np.ndarray:
            read = q if held else trained
            return (trained - REWARD - NEXT * np.cos(p.POINTS)) ** 2 + loss((read - v) / p.LAMBDA)

        return p.slope(both, q)

    losses = (_expectile, _linear, _exponential, _affine_above)
    worst = max(p.gap(push(loss, True), closed) for loss in losses)
    return worst, min(p.gap(push(loss, False), closed) for loss in losses)
