"""Witnesses that compare how pathwise losses with a penalty move the reference, to first order in Q.

Standard normal reference, cosine path, exact stochastic sampler of many steps. A Hermite polynomial of degree n in Q
moves the law by d_n along that polynomial; exponential, affine and reciprocal laws have all d_n equal.
"""

from __future__ import annotations

import numpy as np

from flowrl_kb.certify.identities import problem as p

NODE, WEIGHT = (lambda node, w: (0.5 * (node + 1), 0.5 * w))(*np.polynomial.legendre.leggauss(200))
"""Gauss-Legendre nodes in time on (0, 1)."""
PATH = p.cosine(NODE)
DIFFUSION = -2 * PATH.d_alpha / PATH.alpha
"""g^2 of the variance-preserving path."""
LIKELIHOOD = DIFFUSION / PATH.sigma**2


def through_chain(weight: np.ndarray, degrees: tuple[int, ...]) -> np.ndarray:
    """d_n = n int g^4 alpha^(2n) / (2 w sigma^2) dt of a penalty w |e - E[eps | x]|^2 minus Q of the chain's end."""
    rate = DIFFUSION**2 / (2 * weight * PATH.sigma**2)
    return np.array([n * np.sum(WEIGHT * rate * PATH.alpha ** (2 * n)) for n in degrees])


def by_one_prediction(weight: np.ndarray, degrees: tuple[int, ...]) -> np.ndarray:
    """d_n = n int g^2 alpha^(2n - 2) / (2 w) dt of the same penalty minus Q of the action that one prediction denoises.

    For n = 1 the integral grows without bound with the noisiest level.
    """
    return np.array([n * np.sum(WEIGHT * DIFFUSION * PATH.alpha ** (2 * n - 2) / (2 * weight)) for n in degrees])


def denoising_penalty() -> tuple[float, float]:
    """Law of a denoising penalty, Q read at the end of the chain, against that of every smooth tilt.

    Figure: the smaller, over the loss spaces eps, velocity and score, of the largest |d_n / d_1 - 1|, n <= 4. Control:
    the likelihood weighting g^2 / sigma^2. Source: own derivation, taxonomy note E03.
    """

    def spread(weight: np.ndarray) -> float:
        moved = through_chain(weight, (1, 2, 3, 4))
        return float(np.abs(moved / moved[0] - 1).max())

    velocity = ((PATH.alpha * PATH.d_sigma - PATH.d_alpha * PATH.sigma) / PATH.alpha) ** 2
    figure = min(spread(np.ones_like(NODE)), spread(velocity), spread(1 / PATH.sigma**2))
    return figure, spread(LIKELIHOOD)


def four_optima() -> tuple[float, float]:
    """Smallest distance, over pairs of four losses, of d_n / d_2 for n = 3, 4 (largest difference).

    A noise penalty with Q at the end of the chain, and with Q at one prediction; a tilt (d_n equal); a proximal step,
    d_n ~ n. Control: both penalties in the weighting that makes each a tilt, g^2 / sigma^2 and 1 / alpha^2. Source: own
    derivation, after taxonomy notes E03 and E35.
    """
    degrees = (2, 3, 4)
    relative = lambda moved: moved / moved[0]  # noqa: E731
    apart = lambda one, other: float(np.abs(relative(one) - relative(other)).max())  # noqa: E731
    even, tilt = np.ones_like(NODE), np.ones(3)
    laws = [through_chain(even, degrees), by_one_prediction(even, degrees), tilt, np.array(degrees, float)]
    figure = min(apart(laws[i], laws[j]) for i in range(4) for j in range(i))
    weighted = through_chain(LIKELIHOOD, degrees), by_one_prediction(1 / PATH.alpha**2, degrees)
    return figure, max(apart(moved, tilt) for moved in weighted)
