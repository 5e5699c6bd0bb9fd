"""Mean and covariance of a growing sample of updates, block by block."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """`mean` (S, B, M) and `covariance` (S, B, M, M) of n independent replicates; S scenarios, B blocks."""

    n: int
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def of_mean(self) -> np.ndarray:
        """Covariance of the sample mean."""
        return self.covariance / self.n


def of(rows: np.ndarray) -> Moments:
    """Moments of replicates (S, n, B, M)."""
    n = rows.shape[1]
    mean = rows.mean(1)
    centred = rows - mean[:, None]
    return Moments(n, mean, np.einsum("snbi,snbj->sbij", centred, centred, optimize=True) / max(n - 1, 1))


def merged(a: Moments, b: Moments) -> Moments:
    """Moments of both samples together. Source: Chan, Golub and LeVeque 1979."""
    n = a.n + b.n
    apart = b.mean - a.mean
    spread = (a.n - 1) * a.covariance + (b.n - 1) * b.covariance
    spread = spread + a.n * b.n / n * apart[..., :, None] * apart[..., None, :]
    return Moments(n, a.mean + b.n / n * apart, spread / (n - 1))
