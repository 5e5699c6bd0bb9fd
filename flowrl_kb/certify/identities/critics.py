"""Critics: what pushes the value of an action when a state value is trained beside it."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize

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


@identity()
def one_state_value() -> tuple[float, float]:
    """The joint minimiser over five states is, at each state, the root of the mean slope, whatever the states weigh.

    Four losses; the sum over states, weighted evenly and by 1 to 16, is minimised over all values at once, the roots
    are found state by state. Control: one value for all states under both weights. Source: own derivation.
    """
    nu, shifts = p.mass(p.log_reference(p.GRID)), np.linspace(-0.4, 0.4, 5)
    q = np.stack([p.q(p.GRID + shift) for shift in shifts])
    weights = (np.full(5, 0.2), 2.0 ** np.arange(5) / 31.0)

    def joint(loss, weight: np.ndarray, size: int) -> np.ndarray:
        def total(v: np.ndarray) -> float:
            return float(weight @ (loss((q - np.broadcast_to(v, 5)[:, None]) / p.LAMBDA) @ nu))

        return minimize(total, np.full(size, -0.2), method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}).x

    def root(loss, one: np.ndarray) -> float:
        mean = lambda v: float(loss((one - v) / p.LAMBDA) @ nu)  # noqa: E731
        return brentq(lambda v: p.slope(mean, v), one @ nu - 2.0, one.max())

    losses = (_expectile, _linear, _exponential, _affine_above)
    roots = {loss: np.array([root(loss, one) for one in q]) for loss in losses}
    worst = max(p.gap(joint(loss, weight, 5), roots[loss]) for loss in losses for weight in weights)
    return worst, min(p.gap(*(joint(loss, weight, 1) for weight in weights)) for loss in losses)
