"""Are two expected updates equal? Block-wise two one-sided tests on unbiased squared distances.

A block is one scenario times one bin. With independent replicates p_r and c_r of the two updates and one common scale
kappa, the mean of <d_i, d_j> over i != j, d_r = p_r - kappa c_r, is unbiased for |E p - kappa E c|^2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

MARGIN = 0.05
"""Largest relative residual in any block that still counts as equal."""
ALPHA_EQUAL, ALPHA_DIFFERENT = 0.05, 1e-6
FLOOR = 0.2
"""Blocks are compared relative to their own norm, but never to less than this share of the scenario's largest block."""


class Comparison(NamedTuple):
    """`verdict` equal, different or undecided; residuals are relative; `scale` multiplies the second update."""

    verdict: str
    worst_residual: float
    upper_bound: float
    scale: float
    variance_ratio: float
    replicates: int


def _unbiased_square(d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unbiased |E d|^2 over replicates (axis 1) of d (S, R, B, M), and its standard error; both (S, B).

    The error is that of a U-statistic: 2 tr(C^2) / n(n-1) where the mean vanishes, plus 4 m'Cm / n where it does not.
    """
    n = d.shape[1]
    mean = d.mean(1)
    square = (n * np.sum(mean**2, -1) - np.mean(np.sum(d**2, -1), axis=1)) / (n - 1)
    centred = d - mean[:, None]
    gram = np.einsum("sibm,sibk->sbmk", centred, centred, optimize=True)
    norms = np.sum(centred**2, -1)
    trace_square = (np.sum(gram**2, axis=(-2, -1)) - np.sum(norms**2, axis=1)) / (n * (n - 1))
    along = np.einsum("sbm,sbmk,sbk->sb", mean, gram, mean, optimize=True) / (n - 1)
    # The noise of the sample mean inflates m'Cm by tr(C^2) / n, which would triple the variance of a vanishing mean.
    along = np.maximum(along - trace_square / n, 0.0)
    return square, np.sqrt(np.maximum(2.0 * trace_square / (n * (n - 1)) + 4.0 * along / n, 0.0))


def _common_scale(p: np.ndarray, c: np.ndarray, weight: np.ndarray) -> float:
    """The scale of c that fits p best over all blocks, each weighted by the inverse of its norm."""
    cross = np.einsum("sbm,sbm->sb", p.mean(1), c.mean(1))
    own, _ = _unbiased_square(c)
    fitted = np.sum(weight * cross) / max(np.sum(weight * own), 1e-300)
    return float(np.clip(fitted, -1e6, 1e6))  # an update that vanishes has no scale


def compare(p: np.ndarray, c: np.ndarray, margin: float = MARGIN, scale: float | None = None) -> Comparison:
    """Compare updates p and c, arrays (S, R, B, M) of independent replicates; `scale` None fits a positive one."""
    square_p, se_p = _unbiased_square(p)
    largest = square_p.max(axis=1, keepdims=True)
    alive = square_p > 1e-6 * np.maximum(largest, 1e-300)
    reference = np.maximum(square_p, FLOOR**2 * np.maximum(largest, 1e-300))
    weight = np.where(alive, 1.0 / reference, 0.0)
    kappa = _common_scale(p, c, weight) if scale is None else scale
    square, error = _unbiased_square(p - kappa * c)
    upper = (square + norm.isf(ALPHA_EQUAL) * error) / reference
    residual = np.sqrt(np.maximum(square, 0.0) / reference)
    blocks = square.size
    different = (square / np.maximum(error, 1e-300) > norm.isf(ALPHA_DIFFERENT / blocks)).any() or kappa <= 0
    equal = not different and bool((upper < margin**2).all())
    noise_p, noise_c = p.var(1, ddof=1).sum(-1), kappa**2 * c.var(1, ddof=1).sum(-1)
    ratio = float(np.median((noise_p / np.maximum(noise_c, 1e-300))[alive])) if alive.any() else float("nan")
    verdict = "different" if different else "equal" if equal else "undecided"
    return Comparison(
        verdict, float(residual.max()), float(np.sqrt(np.maximum(upper, 0).max())), kappa, ratio, p.shape[1]
    )
