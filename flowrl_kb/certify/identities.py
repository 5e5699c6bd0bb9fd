"""Numerical guards of rules: both sides of an identity by different expressions, and a control that must fail.

Every function returns (error, control_error), each the largest absolute deviation over a grid; an identity passes when
its error is below TOLERANCE and its control's is above CONTROL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

TOLERANCE, CONTROL = 1e-5, 1e-2
LAMBDA = 0.7


def _q(a: np.ndarray) -> np.ndarray:
    return -0.3 * (a**2 - 1.5) ** 2 + 0.4 * a


def _q_slope(a: np.ndarray) -> np.ndarray:
    return -1.2 * a * (a**2 - 1.5) + 0.4


def stein_identity() -> tuple[float, float]:
    """Noise and gradient expectations of one posterior: E[n] = -(sigma / alpha) E[grad Q / lambda], by quadrature.

    x = alpha a + sigma eps, posterior density over a proportional to exp(Q/lambda) N(x; alpha a, sigma^2). Control: the
    gradient form without the factor 1/alpha (as one paper prints it). Source: taxonomy note E07; RFM (2601.08136).
    """
    alpha, sigma = 0.8, 0.6
    a = np.linspace(-6.0, 6.0, 4001)
    x = np.linspace(-2.5, 2.5, 41)[:, None]
    log_p = _q(a) / LAMBDA - 0.5 * ((x - alpha * a) / sigma) ** 2
    p = np.exp(log_p - log_p.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    noise = (p * (x - alpha * a) / sigma).sum(1)
    gradient = (p * _q_slope(a)).sum(1) / LAMBDA
    return (
        float(np.abs(noise + sigma / alpha * gradient).max()),
        float(np.abs(noise + sigma * gradient).max()),
    )


def chain_score_function() -> tuple[float, float]:
    """Pathwise and likelihood-ratio gradients of one all-stochastic chain, by Gauss-Hermite quadrature.

    x1 = theta x0 + s0 n0, x2 = theta x1 + s1 n1, x0 ~ N(0, 1): d/dtheta E Q(x2) as E[Q'(x2)(x1 + theta x0)] and as
    E[Q(x2)(score of step 0 + score of step 1)]. Control: the last step drawn without noise but scored with s1.
    """
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    theta, s0, s1 = 0.7, 0.5, 0.4
    x0, n0, n1 = np.meshgrid(node, node, node, indexing="ij")
    w = weight[:, None, None] * weight[None, :, None] * weight[None, None, :]
    x1 = theta * x0 + s0 * n0

    def both(last: float) -> tuple[float, float]:
        x2 = theta * x1 + last * n1
        pathwise = np.sum(w * _q_slope(x2) * (x1 + theta * x0))
        ratio = np.sum(w * _q(x2) * ((x1 - theta * x0) * x0 / s0**2 + (x2 - theta * x1) * x1 / s1**2))
        return pathwise, ratio

    pathwise, ratio = both(s1)
    wrong_pathwise, wrong_ratio = both(0.0)
    return float(abs(pathwise - ratio)), float(abs(wrong_pathwise - wrong_ratio))


IDENTITIES: dict[str, Callable[[], tuple[float, float]]] = {
    "stein-identity": stein_identity,
    "chain-score-function": chain_score_function,
}


def run() -> list[dict[str, Any]]:
    """Evaluate every identity with its control."""
    rows = []
    for name, function in IDENTITIES.items():
        error, control = function()
        passed = error < TOLERANCE and control > CONTROL
        rows.append({"id": name, "error": error, "control_error": control, "passed": passed})
    return rows
