"""Are two updates of a single number equal? There the scale has to be fitted with its noise.

A temperature's update is one number in each scenario. `compare` takes its residuals for those of a known scale; where
one scenario is mostly noise, that noise goes into the scale and from there into scenarios that are measured well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from flowrl_kb.certify import compare as of_features
from flowrl_kb.certify.compare import ALPHA_DIFFERENT, LOOKS, MARGIN, WIDE, Comparison, Growing, references
from flowrl_kb.certify.moments import Moments


def fitted_scale(p: Moments, c: Moments, reference: np.ndarray) -> tuple[float, np.ndarray]:
    """The scale kappa of c that fits p best, and the share (S, B) with which each block's <p, c> enters it.

    Blocks count by the inverse of their noise plus what is small beside their reference.
    """
    cross = np.einsum("sbm,sbm->sb", p.mean, c.mean)
    own = np.maximum(np.sum(c.mean**2, -1) - _trace(c.of_mean), 0.0)
    weight = 1.0 / reference
    for _ in range(2):
        total = np.sum(weight * own)
        share = weight / total if total > 0.0 else np.zeros_like(weight)
        kappa = float(np.clip(np.sum(share * cross), -1e6, 1e6))
        weight = 1.0 / (MARGIN**2 * reference + _trace(p.of_mean + kappa**2 * c.of_mean))
    return kappa, share


def _trace(covariance: np.ndarray) -> np.ndarray:
    return np.trace(covariance, axis1=-2, axis2=-1)


def fitted_covariance(p: Moments, c: Moments, kappa: float, share: np.ndarray) -> tuple[np.ndarray, float]:
    """Covariance (S, B, M, M) of p - kappa c where kappa was fitted to the same samples, and the variance of kappa.

    With e the errors of p - kappa c at a fixed kappa and V their covariance, kappa errs by sum_b share_b <c_b, e_b>,
    and e_b by that times c_b less: V_b - share_b (V_b c_b c_b' + c_b c_b' V_b) + var(kappa) c_b c_b'.
    """
    noise = p.of_mean + kappa**2 * c.of_mean
    along = np.einsum("sbij,sbj->sbi", noise, c.mean)
    variance = float(np.sum(share**2 * np.einsum("sbi,sbi->sb", along, c.mean)))
    mixed = share[..., None, None] * along[..., :, None] * c.mean[..., None, :]
    outer = c.mean[..., :, None] * c.mean[..., None, :]
    return noise - mixed - np.swapaxes(mixed, -1, -2) + variance * outer, variance


def _measured(c: Moments, share: np.ndarray) -> bool:
    """Whether the square that a scale is fitted by is known to a fifth of itself; an update without noise is."""
    along = np.einsum("sbi,sbij,sbj->sb", c.mean, c.of_mean, c.mean)
    variance = np.sum(share**2 * (2.0 * np.sum(c.of_mean**2, axis=(-2, -1)) + 4.0 * along))
    return not c.covariance.any() or bool(share.any() and 1.0 > 5.0 * np.sqrt(variance))


def compare(p: Moments, c: Moments, margin: float = MARGIN, rows: int | None = None) -> Comparison:
    """Compare updates p and c up to a positive scale, as `compare.compare` does.

    A scale that is measurably not positive is a difference; one that is not positive by chance decides nothing, and
    neither does one that was fitted to an update which is itself not measured yet.
    """
    reference, _ = references(p, rows)
    kappa, share = fitted_scale(p, c, reference)
    covariance, variance = fitted_covariance(p, c, kappa, share)
    result = of_features.residual_test(p.mean - kappa * c.mean, covariance, reference, margin)
    verdict = result.verdict
    if kappa <= 0.0:
        surely = kappa <= -norm.isf(ALPHA_DIFFERENT) * np.sqrt(variance)
        verdict = "different" if surely or verdict == "different" else "undecided"
    if not _measured(c, share):
        verdict = "undecided"
    ratio = float(np.median(_trace(p.covariance) / np.maximum(kappa**2 * _trace(c.covariance), 1e-300)))
    return result._replace(verdict=verdict, scale=kappa, variance_ratio=ratio, replicates=min(p.n, c.n))


def decide(
    first: Growing,
    second: Growing,
    looks: Sequence[int] = LOOKS,
    rows: int | None = None,
    hopeless: float = float("inf"),
) -> Comparison:
    """`compare.decide` for updates of any size; those of a single number are compared as here, however `hopeless`."""
    if first.take(looks[0]).mean.shape[1:] != (1, 1):
        return of_features.decide(first, second, looks, rows, hopeless)
    for n in looks:
        result = compare(first.take(n), second.take(n), rows=rows)
        if result.verdict != "undecided":
            return result
    wide = compare(first.take(n), second.take(n), WIDE, rows)
    return wide if wide.verdict == "equal" else result
