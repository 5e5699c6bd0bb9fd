"""Fields of exponential tilts: noise and gradient expectations, weighted denoising, boundaries, low noise."""

from __future__ import annotations

import numpy as np

from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.registry import identity

BOLTZMANN = p.q(p.GRID) / p.LAMBDA
TILT = BOLTZMANN + p.log_reference(p.GRID)


@identity()
def stein_identity() -> tuple[float, float]:
    """Noise and gradient expectations of one posterior: E[n] = -(sigma / alpha) E[grad Q / lambda], by quadrature.

    x = alpha a + sigma eps, posterior density over a proportional to exp(Q/lambda) N(x; alpha a, sigma^2). Control: the
    gradient form without the factor 1/alpha (as one paper prints it). Source: taxonomy note E07; RFM (2601.08136).
    """
    weights = p.posterior(BOLTZMANN, p.POINTS, p.ALPHA, p.SIGMA)
    noise = (weights * (p.POINTS[:, None] - p.ALPHA * p.GRID) / p.SIGMA).sum(1)
    gradient = weights @ p.q_slope(p.GRID) / p.LAMBDA
    return p.gap(noise, -p.SIGMA / p.ALPHA * gradient), p.gap(noise, -p.SIGMA * gradient)


@identity(tolerance=1e-4, control=0.1)
def box_boundary_term() -> tuple[float, float]:
    """On a box the gradient expectation needs the posterior density at the walls.

    E[n] = -(sigma / alpha) (E[grad Q / lambda] - p(1 | x) + p(-1 | x)) for actions in [-1, 1]. The noise side is minus
    sigma times the score of the noised law, by differences. Control: no wall term. Source: taxonomy note E09.
    """
    box, x = np.linspace(-1.0, 1.0, 8001), np.linspace(-0.5, 0.5, 21)
    trapezoid = np.ones_like(box)
    trapezoid[[0, -1]] = 0.5
    law = p.q(box) / p.LAMBDA + np.log(trapezoid)
    noise = -p.SIGMA * p.noised_score(law, x, p.ALPHA, p.SIGMA, box)
    weights = p.posterior(law, x, p.ALPHA, p.SIGMA, box)
    wall = (weights[:, -1] - weights[:, 0]) * 2 / (box[1] - box[0])
    gradient = weights @ p.q_slope(box) / p.LAMBDA
    return (
        p.gap(noise, -p.SIGMA / p.ALPHA * (gradient - wall)),
        p.gap(noise, -p.SIGMA / p.ALPHA * gradient),
    )


@identity()
def weighted_denoising() -> tuple[float, float]:
    """Denoising samples of nu with weights exp(Q / lambda) fits the field of the noised tilt, at every level.

    The weighted regression is solved as least squares on each input's samples (a quadratic in the prediction, minimised
    through three evaluations); against -sigma times the score of the noised tilt by differences. Control: no weights.
    Source: taxonomy note E04; 2503.04975, theorem 4.3.
    """

    def minimiser(weight: np.ndarray, sigma: float, alpha: float) -> np.ndarray:
        joint = np.exp(p.log_reference(p.GRID) + p.log_normal(p.POINTS[:, None], alpha * p.GRID, sigma)) * weight
        eps = (p.POINTS[:, None] - alpha * p.GRID) / sigma
        down, middle, up = ((joint * (e - eps) ** 2).sum(1) for e in (-1.0, 0.0, 1.0))
        return 0.5 * (down - up) / (down - 2 * middle + up)

    error, control = 0.0, 0.0
    for sigma in (0.3, 0.6, 0.9):
        alpha = np.sqrt(1 - sigma**2)
        field = -sigma * p.noised_score(TILT, p.POINTS, alpha, sigma)
        error = max(error, p.gap(minimiser(np.exp(BOLTZMANN), sigma, alpha), field))
        control = max(control, p.gap(minimiser(np.ones_like(p.GRID), sigma, alpha), field))
    return error, control


@identity()
def guided_clone() -> tuple[float, float]:
    """A clone whose sampler adds the gradient of log E[exp(Q / lambda) | x] has the field of the noised tilt.

    The clone is the posterior average of the noise under nu, without a value; the gradient is taken by differences.
    Against -sigma times the score of the noised tilt. Control: the clone as it is, which is what training reads.
    Source: QGPO (2304.12824), the energy of noisy actions.
    """
    nu, step = p.log_reference(p.GRID), 1e-4

    def energy(x: np.ndarray) -> np.ndarray:
        return np.log(p.posterior(nu, x, p.ALPHA, p.SIGMA) @ np.exp(BOLTZMANN))

    clone = (p.posterior(nu, p.POINTS, p.ALPHA, p.SIGMA) * (p.POINTS[:, None] - p.ALPHA * p.GRID) / p.SIGMA).sum(1)
    slope = (energy(p.POINTS + step) - energy(p.POINTS - step)) / (2 * step)
    field = -p.SIGMA * p.noised_score(TILT, p.POINTS, p.ALPHA, p.SIGMA)
    return p.gap(clone - p.SIGMA * slope, field), p.gap(clone, field)


@identity()
def input_law_is_free() -> tuple[float, float]:
    """A regression whose target depends on the input only has one minimiser under every full-support law of inputs.

    A table over inputs is fitted by weighted normal equations under two laws of inputs; both must be the posterior mean
    noise. Control: a straight line in place of the table, whose fit follows the law of inputs. Source: own derivation.
    """
    target = p.posterior(BOLTZMANN, p.POINTS, p.ALPHA, p.SIGMA) @ p.GRID
    target = (p.POINTS - p.ALPHA * target) / p.SIGMA
    exact = -p.SIGMA * p.noised_score(BOLTZMANN, p.POINTS, p.ALPHA, p.SIGMA)
    replay, current = (np.exp(p.log_normal(p.POINTS, m, s)) for m, s in ((-0.5, 0.8), (0.6, 1.2)))
    table, line = np.eye(len(p.POINTS)), np.stack([np.ones_like(p.POINTS), p.POINTS], -1)

    def fit(features: np.ndarray, law: np.ndarray) -> np.ndarray:
        root = np.sqrt(law / law.sum())
        return features @ np.linalg.lstsq(root[:, None] * features, root * target, rcond=None)[0]

    error = max(p.gap(fit(table, replay), exact), p.gap(fit(table, current), exact))
    return error, p.gap(fit(line, replay), fit(line, current))


@identity(tolerance=5e-3, control=0.1)
def low_noise_coefficient() -> tuple[float, float]:
    """score p_sigma - grad Q / lambda = (sigma^2 / 2) grad(Q'' / lambda + (Q' / lambda)^2) + O(sigma^4), alpha = 1.

    Exact score by differences of the noised density at sigma = 0.1 and 0.05, extrapolated to zero, relative to the
    largest coefficient. Control: without the squared slope. Source: taxonomy note E10.
    """
    x, grid = np.linspace(-1.5, 1.5, 31), np.linspace(-6.0, 6.0, 12001)

    def excess(sigma: float) -> np.ndarray:
        score = p.noised_score(p.q(grid) / p.LAMBDA, x, 1.0, sigma, grid)
        return (score - p.q_slope(x) / p.LAMBDA) / sigma**2

    found = (4 * excess(0.05) - excess(0.1)) / 3
    third = -7.2 * x / p.LAMBDA
    expected = 0.5 * (third + 2 * p.q_slope(x) * p.q_curvature(x) / p.LAMBDA**2)
    size = np.abs(expected).max()
    return p.gap(found, expected) / size, p.gap(found, 0.5 * third) / size


@identity(tolerance=0.1, control=0.5)
def low_noise_order() -> tuple[float, float]:
    """Q at the noisy action gives the Boltzmann field up to order sigma^2, on paths with alpha = 1 - O(sigma^2).

    Largest score error on the cosine path at sigma = 0.02 over that at 0.01, which tends to 4. Control: the straight
    path, where alpha = 1 - sigma and the ratio tends to 2. Source: taxonomy note E10.
    """
    x, grid = np.linspace(-1.5, 1.5, 31), np.linspace(-3.0, 3.0, 12001)

    def error(sigma: float, alpha: float) -> float:
        score = p.noised_score(p.q(grid) / p.LAMBDA, x, alpha, sigma, grid)
        return p.gap(score, p.q_slope(x) / p.LAMBDA)

    cosine = [error(s, np.sqrt(1 - s**2)) for s in (0.02, 0.01)]
    straight = [error(s, 1 - s) for s in (0.02, 0.01)]
    return abs(cosine[0] / cosine[1] - 4), abs(straight[0] / straight[1] - 4)
