"""Predictions, paths and weights of one regression, and the family of samplers with equal marginals."""

from __future__ import annotations

import numpy as np

from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.registry import identity


@identity()
def prediction_weights() -> tuple[float, float]:
    """Errors of the action, velocity and score are the noise error times a weight of the level.

    A wrong noise e at (x, t) is turned into the action and the velocity by solving the two linear equations of the
    path; their squared errors are compared with weights worked out for each path: (pi/2)^2 / cos^2, 1 / (1-t)^2 and 1
    for the velocity on the cosine, straight and exploding path. Control: the velocity weight without its cross term,
    sigma'^2. Source: taxonomy note E01.
    """
    rng = np.random.default_rng(0)
    t = rng.uniform(0.1, 0.9, 200)
    a, eps, wrong = rng.normal(size=(3, 200))
    weights = {
        p.cosine: (np.tan(0.5 * np.pi * t) ** 2, (0.5 * np.pi / np.cos(0.5 * np.pi * t)) ** 2),
        p.straight: ((t / (1 - t)) ** 2, (1 - t) ** -2),
        p.exploding: (t**2, np.ones_like(t)),
    }
    error, control = 0.0, 0.0
    for path, (w_action, w_velocity) in weights.items():
        s = path(t)
        x = s.alpha * a + s.sigma * eps
        rows = np.stack([np.stack([s.alpha, s.sigma], -1), np.stack([0 * t, 1 + 0 * t], -1)], -2)
        guess, _ = np.linalg.solve(rows, np.stack([x, wrong], -1)[..., None])[..., 0].T
        velocity = s.d_alpha * guess + s.d_sigma * wrong
        velocity_error = (velocity - s.d_alpha * a - s.d_sigma * eps) ** 2
        noise_error = (wrong - eps) ** 2
        error = max(
            error, p.gap((guess - a) ** 2, w_action * noise_error), p.gap(velocity_error, w_velocity * noise_error)
        )
        error = max(error, p.gap(((eps - wrong) / s.sigma) ** 2, noise_error / s.sigma**2))
        control = max(control, p.gap(velocity_error, s.d_sigma**2 * noise_error))
    return error, control


@identity()
def path_and_prediction() -> tuple[float, float]:
    """Noise regression on the cosine path and velocity regression on the straight path give one denoiser.

    At equal noise-to-signal ratio and equal x / alpha. Cosine side: Tweedie's formula on the noised density, its
    score by differences. Straight side: posterior mean of eps - a by quadrature, then a = x - t v. Control: x not
    rescaled. Source: taxonomy note E01, E02.
    """
    law = p.q(p.GRID) / p.LAMBDA + p.log_reference(p.GRID)
    error, control = 0.0, 0.0
    for ratio in (0.3, 0.75, 2.0):
        vp, t = p.cosine(np.array(2 / np.pi * np.arctan(ratio))), ratio / (1 + ratio)
        x = vp.alpha * p.POINTS
        eps = -vp.sigma * p.noised_score(law, x, vp.alpha, vp.sigma)
        denoised = (x - vp.sigma * eps) / vp.alpha

        def from_velocity(y: np.ndarray, t: float = t) -> np.ndarray:
            weights = p.posterior(law, y, 1 - t, t)
            v = (weights * ((y[:, None] - p.GRID) / t)).sum(1)  # eps - a with eps = (y - (1-t) a) / t
            return y - t * v

        error = max(error, p.gap(denoised, from_velocity((1 - t) * p.POINTS)))
        control = max(control, p.gap(denoised, from_velocity(x)))
    return error, control


@identity()
def weighted_terms() -> tuple[float, float]:
    """K weighted errors at one input are one error to the weighted mean target, whatever the model can represent.

    A model with too few parameters is fitted by least squares to all weighted terms, and to one target for each input.
    Control: weights normalised over the batch and not at each input, which changes the fit. Source: taxonomy note E05.
    """
    rng = np.random.default_rng(1)
    x, target, raw = rng.normal(size=30), rng.normal(size=(30, 5)), rng.exponential(size=(30, 5)) ** 2
    features = np.stack([np.ones(30), x, x**2], -1)

    def terms(weight: np.ndarray) -> np.ndarray:
        root = np.sqrt(weight).reshape(-1, 1)
        return np.linalg.lstsq(root * np.repeat(features, 5, 0), root[:, 0] * target.ravel(), rcond=None)[0]

    share = raw / raw.sum(1, keepdims=True)
    merged = np.linalg.solve(features.T @ features, features.T @ (share * target).sum(1))
    return p.gap(terms(share), merged), p.gap(terms(raw / raw.sum()), merged)


@identity(tolerance=1e-4, control=1e-2)
def ode_and_sde() -> tuple[float, float]:
    """Adding noise g and the drift (g^2 / 2) score to the probability-flow ODE keeps every marginal.

    Rate of change of the noised density by a difference in time, against the Fokker-Planck right-hand side with the
    drift v + (g^2 / 2) s and noise g = 0.8, v by quadrature and s by differences. Control: the score of another law
    than the one v transports, as after an update of v alone. Source: taxonomy note E23.
    """
    law, other = p.q(p.GRID) / p.LAMBDA, p.log_reference(p.GRID)
    t, g, h = 0.5, 0.8, 1e-3

    def density(x: np.ndarray, t: float, of: np.ndarray = law) -> np.ndarray:
        s = p.cosine(np.array(t))
        return p.noised(of, x, s.alpha, s.sigma)

    s = p.cosine(np.array(t))

    def velocity(x: np.ndarray) -> np.ndarray:
        mean = p.posterior(law, x, s.alpha, s.sigma) @ p.GRID
        return s.d_alpha * mean + s.d_sigma * (x - s.alpha * mean) / s.sigma

    def rate(x: np.ndarray, score_of: np.ndarray) -> np.ndarray:
        drift = lambda y: velocity(y) + 0.5 * g**2 * p.noised_score(score_of, y, s.alpha, s.sigma)  # noqa: E731
        spread = p.slope(lambda y: p.slope(lambda z: density(z, t), y, 1e-2), x, 1e-2)
        return -p.slope(lambda y: drift(y) * density(y, t), x, 1e-2) + 0.5 * g**2 * spread

    in_time = p.slope(lambda u: np.stack([density(p.POINTS, v) for v in u]), np.array([t]), h)[0]
    return p.gap(rate(p.POINTS, law), in_time), p.gap(rate(p.POINTS, other), in_time)
