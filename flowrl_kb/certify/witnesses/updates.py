"""Witnesses that compare expected gradients of surrogates built from denoising losses."""

from __future__ import annotations

import numpy as np

from flowrl_kb.certify.identities import problem as p


def average_before_or_after() -> tuple[float, float]:
    """Second derivatives at the previous policy of A exp(mean_j d_j) and of A mean_j exp(d_j), relative to the larger.

    d_j is the fall of the noise error of the prediction theta x + sin x since theta_old = 0.5; five actions, eight
    stored pairs each, seed 4, straight path. Control: one pair for each action. Source: taxonomy note E21.
    """

    def apart(pairs: int) -> float:
        rng = np.random.default_rng(4)
        a, advantage = rng.normal(size=(5, 1)), np.array([1.0, -0.7, 0.4, -1.2, 0.8])
        t, eps = rng.uniform(0.2, 0.9, (5, pairs)), rng.normal(size=(5, pairs))
        x = (1 - t) * a + t * eps

        def fall(theta: float) -> np.ndarray:
            return (0.5 * x + np.sin(x) - eps) ** 2 - (theta * x + np.sin(x) - eps) ** 2

        def second(surrogate) -> float:
            h = 1e-3
            return (surrogate(0.5 + h) - 2 * surrogate(0.5) + surrogate(0.5 - h)) / h**2

        averaged = second(lambda theta: np.mean(advantage * np.exp(fall(theta).mean(1))))
        each = second(lambda theta: np.mean(advantage * np.exp(fall(theta)).mean(1)))
        return float(abs(averaged - each) / max(abs(averaged), abs(each)))

    return apart(8), apart(1)


def loss_space_of_a_ratio() -> tuple[float, float]:
    """Gradient fields at the previous policy of -A times the noise loss and of -A times the velocity loss.

    Straight path, levels 0.2, 0.5 and 0.8; derivative of each loss with respect to the noise prediction by
    differences; share of the second field that no common multiple of the first reaches. Control: the noise loss of a
    velocity prediction.
    """
    law, levels = p.log_reference(p.GRID), (0.2, 0.5, 0.8)
    advantage = p.q(p.GRID) - p.mass(law) @ p.q(p.GRID)

    def gradient(t: float, space: str) -> np.ndarray:
        chance = p.posterior(law, p.POINTS, 1 - t, t)
        eps = (p.POINTS[:, None] - (1 - t) * p.GRID) / t
        own = (chance * eps).sum(1)

        def loss(move: float) -> np.ndarray:
            guess = (own + move)[:, None]
            velocity = guess - (p.POINTS[:, None] - t * guess) / (1 - t)
            error = {
                "eps": guess - eps,
                "velocity": velocity - (eps - p.GRID),
                "eps of velocity": p.POINTS[:, None] + (1 - t) * velocity - eps,
            }[space]
            return (chance * advantage * error**2).sum(1)

        return loss(0.5) - loss(-0.5)

    def apart(space: str) -> float:
        one = np.concatenate([gradient(t, "eps") for t in levels])
        other = np.concatenate([gradient(t, space) for t in levels])
        return float(np.linalg.norm(other - one * (one @ other) / (one @ one)) / np.linalg.norm(other))

    return apart("velocity"), apart("eps of velocity")
