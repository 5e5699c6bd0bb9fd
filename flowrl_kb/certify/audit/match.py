"""Is the user's update one that the atlas holds, up to a scale, a sign, or a weight of the noise level?

Works on compact entries. With independent samples and covariances A of the user's mean and B of the scaled entry, the
figures of A + B that the tests need are bounded from above: tr (A+B)^2 <= tr A^2 + tr B^2 + 2 sqrt(tr A^2 tr B^2) and
top(A+B) <= top A + top B. Both make "equal" and "different" harder to reach, never easier.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from flowrl_kb.certify.audit.atlas import Compact, compact
from flowrl_kb.certify.compare import ALPHA_DIFFERENT, ALPHA_EQUAL, MARGIN, WIDE, references
from flowrl_kb.certify.moments import Moments

SCALE, OPPOSITE = "a positive scale", "the opposite sign"
WEIGHT, OPPOSITE_WEIGHT = "a weight of the noise level", "the opposite sign and a weight of the noise level"
ALIVE = 0.02
"""A bin whose own update is below this share of the largest has no weight that could be fitted."""


class Match(NamedTuple):
    """One comparison. `matched` and `different` are shares of blocks (scenario x bin x set of features) whose residual
    is proved below the margin, and above zero; `scale` has one number, or one for each bin of log-SNR."""

    verdict: str
    transformation: str
    margin: float
    residual: float
    bound: float
    matched: float
    different: float
    scale: tuple[float, ...]
    variance_ratio: float
    replicates: int
    worst: tuple[int, int]


def scales(p: Moments, c: Compact, reference: np.ndarray, alive: np.ndarray, rows: int, by_row: bool) -> np.ndarray:
    """Least-squares scales (B,) of c, each block weighted by the inverse of its reference: one, or one for each row."""
    weight = np.where(alive, 1.0 / reference, 0.0)
    cross = np.sum(weight * np.einsum("sbm,sbm->sb", p.mean, c.mean), axis=0).reshape(-1, rows).sum(0)
    own = np.maximum(np.sum(c.mean**2, -1) - c.trace / c.n, 0.0)
    own = np.sum(weight * own, axis=0).reshape(-1, rows).sum(0)
    total = cross.sum() / max(own.sum(), 1e-300)
    each = np.where(own > ALIVE**2 * own.max(), cross / np.maximum(own, 1e-300), total) if by_row else total
    blocks = c.mean.shape[1]
    return np.clip(np.tile(np.broadcast_to(each, rows), blocks // rows), -1e6, 1e6)


def compare(p: Moments, c: Compact, rows: int, by_row: bool = False) -> Match:
    """Compare the user's update p with an entry, after the best scale; the transformation says what that was."""
    reference, alive = references(p, rows)
    kappa = scales(p, c, reference, alive, rows, by_row)
    own, square_scale = compact(p), kappa**2
    noise = square_scale * c.trace
    mean = p.mean - kappa[:, None] * c.mean
    trace = own.trace / p.n + noise / c.n
    roots = np.sqrt(own.square) / p.n + square_scale * np.sqrt(c.square) / c.n
    top = own.top / p.n + square_scale * c.top / c.n
    bound, residual, apart = _blocks(mean, trace, roots, top, reference)
    signs = set(np.sign(kappa))
    verdict, margin = "undecided", WIDE
    if apart.any() or len(signs) > 1 or 0.0 in signs:
        verdict = "different"
    elif (bound < WIDE).all():
        verdict, margin = "equal", MARGIN if (bound < MARGIN).all() else WIDE
    names = (WEIGHT, OPPOSITE_WEIGHT) if by_row else (SCALE, OPPOSITE)
    worst = np.unravel_index(int(residual.argmax()), residual.shape)
    return Match(
        verdict,
        names[int(bool((kappa < 0).all()))],
        margin,
        float(residual.max()),
        float(bound.max()),
        float((bound < margin).mean()),
        float(apart.mean()),
        tuple(map(float, kappa[:rows] if by_row else kappa[:1])),
        float(np.median((own.trace / np.maximum(noise, 1e-300))[alive])) if alive.any() else float("nan"),
        min(p.n, c.n),
        (int(worst[0]), int(worst[1])),
    )


def _blocks(mean, trace, roots, top, reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Upper bounds and residuals relative to sqrt(reference), and which blocks differ; `roots` bounds sqrt(tr V^2).

    Equal as in `certify.compare.residual_test`. Different: |d|^2 exceeds tr V + 2 sqrt(tr V^2 u) + 2 top u, which has
    probability exp(-u) under equality whatever the eigenvalues. Source: Laurent and Massart 2000, lemma 1.
    """
    square = np.sum(mean**2, -1) - trace
    z = norm.isf(ALPHA_EQUAL)
    along = roots / np.sqrt(np.maximum(trace, 1e-300))
    upper = np.sqrt(np.maximum(square + z * np.sqrt(2.0) * roots, 0.0)) + z * along
    u = -np.log(ALPHA_DIFFERENT / square.size)
    apart = square > 2.0 * roots * np.sqrt(u) + 2.0 * top * u
    return upper / np.sqrt(reference), np.sqrt(np.maximum(square, 0.0) / reference), apart


def best(p: Moments, c: Compact, rows: int) -> Match:
    """The plainest transformation that makes both equal; else the plain scale, with its sign."""
    plain = compare(p, c, rows)
    if plain.verdict == "equal" or rows == 1:
        return plain
    weighted = compare(p, c, rows, by_row=True)
    return (
        weighted
        if weighted.verdict == "equal" or (plain.verdict, weighted.verdict) == ("different", "undecided")
        else plain
    )
