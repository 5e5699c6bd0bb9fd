"""Witnesses that compare the state values which losses of data actions end at."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy.optimize import brentq

from flowrl_kb.certify.identities import problem as p

NU = p.mass(p.log_reference(p.GRID))
Loss = Callable[[np.ndarray, float], np.ndarray]
TAU = 0.8


def _expectile(u: np.ndarray, tau: float) -> np.ndarray:
    return np.where(u > 0, tau, 1 - tau) * u


def _linear(u: np.ndarray, lam: float) -> np.ndarray:
    return np.maximum(1 + u / lam, 0) - 1


def _exponential(u: np.ndarray, lam: float) -> np.ndarray:
    return np.exp(u / lam) - 1


def _piecewise(u: np.ndarray, lam: float) -> np.ndarray:
    return np.where(u > 0, 0.5 * u / lam, np.exp(np.minimum(u / lam, 0)) - 1)


def _value(slope: Loss, parameter: float, q: np.ndarray) -> float:
    """The V at which the data average of slope(Q - V) vanishes."""
    return brentq(lambda v: NU @ slope(q - v, parameter), NU @ q - 8.0, max(q.max(), NU @ q) + 8.0)


def losses_of_state_values() -> tuple[float, float]:
    """Two states, Q and 2 Q: each two of four losses are made to agree at the first, and part at the second.

    Expectiles at 0.8, linear, exponential and piecewise weights at lambda = 0.7; the second one's parameter is fitted.
    Smallest gap over the distance of the value from the mean of 2 Q. Control: each loss fitted to itself from another
    start. Source: own derivation.
    """
    q = p.q(p.GRID)
    losses = {_expectile: TAU, _linear: p.LAMBDA, _exponential: p.LAMBDA, _piecewise: p.LAMBDA}

    def parted(one: Loss, other: Loss) -> float:
        aim = _value(one, losses[one], q)
        ends = (0.501, 0.999) if other is _expectile else (0.05, 20.0)
        fitted = brentq(lambda x: _value(other, x, q) - aim, *ends, xtol=1e-13)
        values = _value(one, losses[one], 2 * q), _value(other, fitted, 2 * q)
        return abs(values[0] - values[1]) / (values[0] - NU @ (2 * q))

    return min(parted(a, b) for a, b in combinations(losses, 2)), max(parted(a, a) for a in losses)


def returns_and_values() -> tuple[float, float]:
    """Smallest distance from the mean of Q to the four values at those parameters, over the deviation of Q.

    Control: the largest one where all actions are worth the same. Source: own derivation.
    """
    losses = {_expectile: TAU, _linear: p.LAMBDA, _exponential: p.LAMBDA, _piecewise: p.LAMBDA}

    def far(q: np.ndarray) -> list[float]:
        return [abs(_value(loss, parameter, q) - NU @ q) for loss, parameter in losses.items()]

    q = p.q(p.GRID)
    spread = float(np.sqrt(NU @ (q - NU @ q) ** 2))
    return min(far(q)) / spread, max(far(np.full_like(q, 0.4))) / spread
