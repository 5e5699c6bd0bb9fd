"""Are two expected updates equal? Block-wise tests on unbiased squared distances.

A block is one scenario times one row of features. With independent samples of the two updates and one common scale
kappa, d = mean p - kappa mean c has covariance V, and |d|^2 - tr V is unbiased for |E p - kappa E c|^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from flowrl_kb.certify.moments import Moments

MARGIN, WIDE = 0.02, 0.05
"""Largest relative residual in any block that still counts as equal; the wide margin is tried where the last look
leaves the narrow one undecided, and the verdict says which of the two it means."""
LOOKS = (64, 1024, 4096, 16384, 32768)
"""Replicates (batches of 256 states in three scenarios) at which a comparison may stop."""
ALPHA_EQUAL, ALPHA_DIFFERENT = 0.05 / len(LOOKS), 1e-6 / len(LOOKS)
"""Error rates of one look: of calling a residual at the margin equal, and of calling equal updates different."""
FLOOR = 0.2
"""Blocks are compared relative to their own norm, but never to less than this share of the scenario's largest block."""


class Comparison(NamedTuple):
    """`verdict` equal, different or undecided at `margin`; residuals are relative to a block.

    `bound` is the largest upper confidence bound of a block's residual, `worst` the (scenario, block) of the largest
    residual, `scale` what the second update is multiplied with, `power` the smallest probability over blocks of calling
    a residual of twice the margin different at this sample size; `variance_ratio` of first to second update, both at
    the same number of replicates.
    """

    verdict: str
    margin: float
    residual: float
    bound: float
    scale: float
    variance_ratio: float
    replicates: int
    worst: tuple[int, int]
    power: float


def exceedance(eigenvalues: np.ndarray, x: float) -> float:
    """P(sum_i lambda_i z_i^2 > x) for independent standard normal z_i, by a saddlepoint approximation.

    Needed because the null law of |d|^2 has few effective degrees of freedom: a normal law would be wrong by orders of
    magnitude at 1e-6. Source: Kuonen 1999, eq. 3 (Lugannani and Rice).
    """
    lam = eigenvalues[eigenvalues > 1e-9 * eigenvalues.max(initial=0.0)]
    if not len(lam):
        return float(x <= 0.0)
    lam, x = lam / lam.max(), x / lam.max()
    if x <= lam.sum() * (1.0 + 1e-6):
        return 1.0 if x <= 0.0 else 0.5

    def slope(z: float) -> float:
        return float(np.sum(lam / (1.0 - 2.0 * z * lam))) - x

    # One unit eigenvalue alone puts the saddlepoint at (1 - 1/x)/2; all others together move it to the left.
    z = brentq(slope, 0.0, 0.5 * (1.0 - 0.5 / x))
    w = np.sqrt(max(2.0 * z * x + float(np.sum(np.log1p(-2.0 * z * lam))), 1e-300))
    v = z * np.sqrt(2.0 * float(np.sum((lam / (1.0 - 2.0 * z * lam)) ** 2)))
    return float(norm.sf(w + np.log(v / w) / w))


def _squares(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.sum(mean**2, -1) - np.trace(covariance, axis1=-2, axis2=-1)


def references(p: Moments, rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Squared norms (S, B) that residuals of p are divided by, and which blocks carry any update at all.

    A row of narrow features is compared with the largest set of the same row (`rows` of each set), because its own norm
    says how rough the update is and not how large.
    """
    square = np.maximum(_squares(p.mean, p.of_mean), 0.0)
    largest = np.maximum(square.max(axis=1, keepdims=True), 1e-300)
    if rows:
        by_row = square.reshape(len(square), -1, rows).max(axis=1)
        square = np.tile(by_row, square.shape[1] // rows)
    return np.maximum(square, FLOOR**2 * largest), square > 1e-6 * largest


def best_scale(p: Moments, c: Moments, reference: np.ndarray, alive: np.ndarray) -> float:
    """The scale of c that fits p best over all blocks, each weighted by the inverse of its reference."""
    weight = np.where(alive, 1.0 / reference, 0.0)
    cross = np.einsum("sbm,sbm->sb", p.mean, c.mean)
    own = np.maximum(_squares(c.mean, c.of_mean), 0.0)
    return float(np.clip(np.sum(weight * cross) / max(np.sum(weight * own), 1e-300), -1e6, 1e6))


def compare(
    p: Moments, c: Moments, margin: float = MARGIN, scale: float | None = None, rows: int | None = None
) -> Comparison:
    """Compare updates p and c; `scale` None fits a positive one, `rows` as in `references`."""
    reference, alive = references(p, rows)
    kappa = best_scale(p, c, reference, alive) if scale is None else scale
    mean, covariance = p.mean - kappa * c.mean, p.of_mean + kappa**2 * c.of_mean
    result = residual_test(mean, covariance, reference, margin)
    noise_p = np.trace(p.covariance, axis1=-2, axis2=-1)
    noise_c = kappa**2 * np.trace(c.covariance, axis1=-2, axis2=-1)
    ratio = float(np.median((noise_p / np.maximum(noise_c, 1e-300))[alive])) if alive.any() else float("nan")
    verdict = "different" if kappa <= 0 else result.verdict
    return result._replace(verdict=verdict, scale=kappa, variance_ratio=ratio, replicates=min(p.n, c.n))


def residual_test(mean: np.ndarray, covariance: np.ndarray, reference: np.ndarray, margin: float) -> Comparison:
    """Test whether E mean (S, B, M), estimated with the given covariance, vanishes relative to sqrt(reference) (S, B).

    Equal: in every block the upper bound sqrt(square + z sqrt(2 tr V^2)) + z sqrt(tr V^2 / tr V) of the residual is
    below the margin; its second term is the error along a residual of average noise. Different: some block at a
    family-wise level of ALPHA_DIFFERENT (Holm's first step, which decides whether any block differs).
    """
    trace = np.trace(covariance, axis1=-2, axis2=-1)
    trace_square = np.sum(covariance**2, axis=(-2, -1))
    square = np.sum(mean**2, -1) - trace
    z = norm.isf(ALPHA_EQUAL)
    along = np.sqrt(trace_square / np.maximum(trace, 1e-300))
    upper = np.sqrt(np.maximum(square + z * np.sqrt(2.0 * trace_square), 0.0)) + z * along
    bound = upper / np.sqrt(reference)
    residual = np.sqrt(np.maximum(square, 0.0) / reference)
    level = ALPHA_DIFFERENT / square.size
    different = any(
        exceedance(np.linalg.eigvalsh(covariance[i]), float(np.sum(mean[i] ** 2))) < level
        for i in zip(*np.nonzero(square > 2.0 * np.sqrt(2.0 * trace_square)), strict=True)
    )
    equal = not different and bool((bound < margin).all())
    verdict = "different" if different else "equal" if equal else "undecided"
    worst = np.unravel_index(int(residual.argmax()), residual.shape)
    power = _power(trace, trace_square, 4.0 * margin**2 * reference, level)
    where = (int(worst[0]), int(worst[1]))
    return Comparison(verdict, margin, float(residual.max()), float(bound.max()), 1.0, float("nan"), 0, where, power)


def _power(trace: np.ndarray, trace_square: np.ndarray, effect: np.ndarray, level: float) -> float:
    """Smallest probability over blocks that a squared residual `effect` (S, B) is called different, by normal laws."""
    threshold = norm.isf(level) * np.sqrt(2.0 * trace_square)
    spread = np.sqrt(2.0 * trace_square + 4.0 * effect * trace_square / np.maximum(trace, 1e-300))
    return float(norm.sf((threshold - effect) / np.maximum(spread, 1e-300)).min())


class Growing(Protocol):
    """Anything that can give the moments of at least n replicates."""

    def take(self, n: int) -> Moments: ...


def decide(
    first: Growing,
    second: Growing,
    looks: Sequence[int] = LOOKS,
    rows: int | None = None,
    hopeless: float = float("inf"),
) -> Comparison:
    """Grow both updates until their comparison is decided, the looks are used up, or the residual looks `hopeless`."""
    for n in looks:
        a, b = first.take(n), second.take(n)
        result = compare(a, b, rows=rows)
        if result.verdict != "undecided" or (n > looks[0] and result.residual > hopeless):
            return result
    wide = compare(a, b, WIDE, rows=rows)
    return wide if wide.verdict == "equal" else result
