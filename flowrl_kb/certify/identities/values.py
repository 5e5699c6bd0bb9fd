"""Intermediate values: which of them guides exactly, and what learned ones estimate."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.fields import TILT
from flowrl_kb.certify.identities.registry import identity


def _average(function: np.ndarray, x: np.ndarray) -> np.ndarray:
    """E[function | x] under the noised reference."""
    return p.posterior(p.log_reference(p.GRID), x, p.ALPHA, p.SIGMA) @ function


@identity()
def soft_value_guidance() -> tuple[float, float]:
    """The noised reference's score plus grad log E[exp(Q / lambda) | x] is the score of the noised tilt.

    The reference's score in closed form, the value by quadrature, the tilt by differences of its noised density.
    Control: the mean value E[Q | x] / lambda. Source: taxonomy note E11; CEP (2304.12824).
    """
    variance = (p.ALPHA * p.STD) ** 2 + p.SIGMA**2
    base = -(p.POINTS - p.ALPHA * p.MEAN) / variance
    exact = p.noised_score(TILT, p.POINTS, p.ALPHA, p.SIGMA)
    soft = p.slope(lambda x: np.log(_average(np.exp(p.q(p.GRID) / p.LAMBDA), x)), p.POINTS)
    mean = p.slope(lambda x: _average(p.q(p.GRID) / p.LAMBDA, x), p.POINTS)
    return p.gap(base + soft, exact), p.gap(base + mean, exact)


@identity()
def posterior_mean_guidance() -> tuple[float, float]:
    """Q at the denoised mean guides exactly when the reference is Gaussian and Q linear: all slopes are constant.

    The slope of the denoised mean of a Gaussian is alpha s^2 / (alpha^2 s^2 + sigma^2); against the soft value by
    quadrature. Control: a quadratic Q. Source: taxonomy note E12.
    """
    kept = p.ALPHA * p.STD**2 / ((p.ALPHA * p.STD) ** 2 + p.SIGMA**2)
    denoised = p.MEAN + kept * (p.POINTS - p.ALPHA * p.MEAN)

    def soft(q: np.ndarray) -> np.ndarray:
        return p.slope(lambda x: np.log(_average(np.exp(q / p.LAMBDA), x)), p.POINTS)

    return p.gap(soft(1.3 * p.GRID), 1.3 * kept / p.LAMBDA * np.ones_like(p.POINTS)), p.gap(
        soft(-0.5 * p.GRID**2), -denoised * kept / p.LAMBDA
    )


@identity()
def signed_regression_mean_value() -> tuple[float, float]:
    """The implicit positive and negative fields of DiffusionNFT end at the old score plus grad(2 E[r | x] / beta).

    Loss E[r |e+ - eps|^2 + (1 - r) |e- - eps|^2 | x], e+- = e_old +- beta (e - e_old), minimised through three
    evaluations; against differences of the posterior-mean reward, r = sigmoid(Q), beta = 0.5. Control: the soft value
    in its place. Source: taxonomy note E24; DiffusionNFT (2509.16117).
    """
    beta, reward = 0.5, 1 / (1 + np.exp(-p.q(p.GRID)))
    weights = p.posterior(p.log_reference(p.GRID), p.POINTS, p.ALPHA, p.SIGMA)
    eps = (p.POINTS[:, None] - p.ALPHA * p.GRID) / p.SIGMA
    old = (weights * eps).sum(1, keepdims=True)

    def loss(move: float) -> np.ndarray:
        plus, minus = (old + sign * beta * move - eps for sign in (1, -1))
        return (weights * (reward * plus**2 + (1 - reward) * minus**2)).sum(1)

    down, middle, up = loss(-1.0), loss(0.0), loss(1.0)
    score_shift = -0.5 * (down - up) / (down - 2 * middle + up) / p.SIGMA
    mean = p.slope(lambda x: 2 / beta * _average(reward, x), p.POINTS)
    soft = p.slope(lambda x: np.log(_average(np.exp(2 / beta * reward), x)), p.POINTS)
    return p.gap(score_shift, mean), p.gap(score_shift, soft)


@identity()
def guidance_weight() -> tuple[float, float]:
    """Classifier-free guidance with weight w adds w grad log E[p(O) | x]: exact for nu p(O)^w at w = 1 only.

    Against differences of the noised density of nu p(O)^w, p(O) = sigmoid(Q). Control: w = 2. Source: taxonomy note
    E25.
    """
    chance = 1 / (1 + np.exp(-p.q(p.GRID)))
    base = -(p.POINTS - p.ALPHA * p.MEAN) / ((p.ALPHA * p.STD) ** 2 + p.SIGMA**2)

    def error(w: float) -> float:
        guided = base + w * p.slope(lambda x: np.log(_average(chance, x)), p.POINTS)
        law = p.log_reference(p.GRID) + w * np.log(chance)
        return p.gap(guided, p.noised_score(law, p.POINTS, p.ALPHA, p.SIGMA))

    return error(1.0), error(2.0)


@identity(tolerance=1e-4, control=2e-2)
def contrastive_energy() -> tuple[float, float]:
    """Contrastive energy prediction with raw weights e^Q learns log E[e^Q | x] + c already from batches of two.

    The expected loss over all batches of two pairs (a, x), 12 actions and 8 inputs, is minimised over a table. Control:
    weights normalised inside the batch, biased at every finite size. Source: taxonomy note E31; CEP (2304.12824).
    """
    rng = np.random.default_rng(3)
    joint, tilt = rng.dirichlet(np.ones(96)).reshape(12, 8), np.exp(rng.normal(size=12))
    marginal = joint.sum(0)

    def fitted(normalised: bool) -> np.ndarray:
        share = tilt[:, None] / (tilt[:, None] + tilt) if normalised else np.repeat(tilt[:, None], 12, 1)
        pair = np.einsum("ax,by,ab->xy", joint, joint, share)  # weight of the first of two inputs (x, y)

        def loss(f: np.ndarray) -> tuple[float, np.ndarray]:
            chosen = 1 / (1 + np.exp(f[None, :] - f[:, None]))
            slope = pair * (1 - chosen)
            return -2 * float(np.sum(pair * np.log(chosen))), -2 * (slope.sum(1) - slope.sum(0))

        f = minimize(loss, np.zeros(8), jac=True, method="BFGS", options={"gtol": 1e-10}).x
        return f - marginal @ f

    exact = np.log(tilt @ joint / marginal)
    exact -= marginal @ exact
    return p.gap(fitted(False), exact), p.gap(fitted(True), exact)


@identity(tolerance=1e-2, control=0.5)
def naive_guidance_doubles() -> tuple[float, float]:
    """For standard normal data and a linear Q, the value gradient at the noisy action moves a stochastic chain twice
    as far as the tilt.

    Mean of an ancestral chain of 4000 steps whose score is shifted by the slope c = 1 at every level, against 2 c
    from the reverse equation dm = (-m + 2 c) (g^2 / 2) ds. Control: the exact guidance alpha c, whose chain ends at
    the tilt's mean c. Source: own derivation.
    """
    s = p.cosine(np.linspace(0.9995, 0.0, 4001))

    def end(exact: bool) -> float:
        mean = 0.0
        for a_t, s_t, a_u, s_u in zip(s.alpha[:-1], s.sigma[:-1], s.alpha[1:], s.sigma[1:], strict=True):
            noise = s_t * mean - s_t * (a_t if exact else 1.0)
            denoised = (mean - s_t * noise) / a_t
            kept = (a_t * s_u / (a_u * s_t)) ** 2
            mean = a_t / a_u * (s_u / s_t) ** 2 * mean + a_u * (1 - kept) * denoised
        return float(mean)

    return abs(end(False) - 2.0), abs(end(True) - 2.0)
