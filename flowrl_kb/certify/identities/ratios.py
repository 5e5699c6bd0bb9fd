"""Ratios to the previous policy: denoising losses in place of likelihoods, one-step chains, group baselines."""

from __future__ import annotations

from itertools import product

import numpy as np

from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.registry import identity


def surrogates(theta: complex, old: float) -> tuple[np.ndarray, np.ndarray]:
    """Means of A exp(mean_j d_j) and of A mean_j exp(d_j) over five actions with three stored pairs each.

    d_j is the fall of the noise error of the prediction theta x + sin x since `old`; seed 4, straight path.
    """
    rng = np.random.default_rng(4)
    a, advantage = rng.normal(size=(5, 1)), np.array([1.0, -0.7, 0.4, -1.2, 0.8])
    t, eps = rng.uniform(0.2, 0.9, (5, 3)), rng.normal(size=(5, 3))
    x = (1 - t) * a + t * eps
    fall = (old * x + np.sin(x) - eps) ** 2 - (theta * x + np.sin(x) - eps) ** 2
    return np.mean(advantage * np.exp(fall.mean(1))), np.mean(advantage * np.exp(fall).mean(1))


@identity()
def cfm_at_old() -> tuple[float, float]:
    """Averaging denoising losses before or after the exponential gives one gradient at the previous policy: -A grad
    loss.

    Complex-step derivatives of both surrogates at theta = theta_old against the weighted regression's derivative
    written out. Control: the two derivatives at theta_old + 0.6. Source: taxonomy note E21; FPO (2507.21053).
    """
    old, h = 0.5, 1e-30
    rng = np.random.default_rng(4)
    a, advantage = rng.normal(size=(5, 1)), np.array([1.0, -0.7, 0.4, -1.2, 0.8])
    t, eps = rng.uniform(0.2, 0.9, (5, 3)), rng.normal(size=(5, 3))
    x = (1 - t) * a + t * eps
    regression = -np.mean(advantage[:, None] * 2 * (old * x + np.sin(x) - eps) * x)
    at_old = [s.imag / h for s in surrogates(old + 1j * h, old)]
    drifted = [s.imag / h for s in surrogates(old + 0.6 + 1j * h, old)]
    return p.gap(at_old, regression), p.gap(*drifted)


@identity()
def trust_regions_at_old() -> tuple[float, float]:
    """A clip for all actions and a square for bad ones give one gradient at the previous policy: A times that of rho.

    Central differences in rho at 1 of both surrogates at ten advantages of either sign, clip 0.2, against A itself.
    Control: the two slopes at rho = 0.7, where bad actions are beyond the clip. Source: FPO++ (2602.02481), eq. 1, 11.
    """
    advantage, clip, h = np.linspace(-1.8, 1.8, 10), 0.2, 1e-4

    def clipped(rho: float) -> np.ndarray:
        return np.minimum(rho * advantage, np.clip(rho, 1 - clip, 1 + clip) * advantage)

    def squared(rho: float) -> np.ndarray:
        penalised = rho * advantage - np.abs(advantage) * (rho - 1) ** 2 / (2 * clip)
        return np.where(advantage >= 0, clipped(rho), penalised)

    def slopes(rho: float) -> list[np.ndarray]:
        return [(f(rho + h) - f(rho - h)) / (2 * h) for f in (clipped, squared)]

    return p.gap(slopes(1.0), advantage), p.gap(*slopes(0.7))


@identity()
def mirrored_fields_at_old() -> tuple[float, float]:
    """Matching by two mirrored fields has, at the previous policy, beta A times the gradient of the matching loss.

    Complex-step derivative of r |v+ - u|^2 + (1 - r) |v- - u|^2 with v = theta x + sin x, beta 0.3, r = (1 + A) / 2,
    over five actions with three noises each, against the derivative written out. Control: at theta_old + 0.6.
    Source: DiffusionNFT (2509.16117), eq. 5.
    """
    old, beta, h = 0.5, 0.3, 1e-30
    rng = np.random.default_rng(5)
    a, advantage = rng.normal(size=(5, 1)), np.array([[1.0], [-0.7], [0.4], [-0.9], [0.8]])
    t, eps = rng.uniform(0.2, 0.9, (5, 3)), rng.normal(size=(5, 3))
    x, u = (1 - t) * a + t * eps, eps - a

    def branches(theta: complex) -> complex:
        before, now, r = old * x + np.sin(x), theta * x + np.sin(x), (1 + advantage) / 2
        plus, minus = before + beta * (now - before), before - beta * (now - before)
        return np.mean(r * (plus - u) ** 2 + (1 - r) * (minus - u) ** 2)

    def matching(theta: float) -> float:
        return beta * np.mean(advantage * 2 * (theta * x + np.sin(x) - u) * x)

    at_old, drifted = (branches(theta + 1j * h).imag / h for theta in (old, old + 0.6))
    return p.gap(at_old, matching(old)), p.gap(drifted, matching(old + 0.6))


@identity(tolerance=1e-3, control=2e-2)
def one_step_chain() -> tuple[float, float]:
    """One stochastic denoising step whose network ignores its noise is a Gaussian policy: PPO's gradient, clip
    included.

    Two action dimensions, A = Q(a_1) + a_2, clip 0.2, drift 0.3 in a_1. Chain side: the mean from the posterior of
    the forward chain with a noise prediction, surrogate summed over (input, noise), differentiated by differences.
    PPO side: the integral over actions of A rho grad log pi where the clip is inactive. Control: log-densities
    averaged over the two dimensions. Source: taxonomy note E19.
    """
    std, old, new, clip = 0.5, 0.1, 0.4, 0.2
    z, (node, weight) = np.linspace(-8.0, 8.0, 20001), p.hermite(12)
    chance = np.exp(p.log_normal(z, 0.0, 1.0)) * (z[1] - z[0])
    alpha, sigma = 0.3, np.sqrt(1 - 0.3**2)

    def chain(mean: float, share: float) -> float:
        def step(x: float, mu: float) -> float:
            eps = (x - alpha * mu) / sigma
            return (x - sigma * eps) / alpha  # clean end level: the posterior mean is the denoised action

        total = 0.0
        for x, w in zip(node[::4], weight[::4] / weight[::4].sum(), strict=True):
            first = step(x, old) + std * z
            second = std * node
            log_ratio = p.log_normal(first, step(x, mean), std) - p.log_normal(first, step(x, old), std)
            rho = np.exp(share * log_ratio)[:, None]
            gain = p.q(first)[:, None] + second
            value = np.minimum(rho * gain, np.clip(rho, 1 - clip, 1 + clip) * gain)
            total += w * float(chance @ value @ weight)
        return total

    def gradient(share: float) -> float:
        return float(p.slope(lambda m: np.array([chain(v, share) for v in m]), np.array([new]), 1e-2)[0])

    a = old + std * z
    rho = np.exp(((a - old) ** 2 - (a - new) ** 2) / (2 * std**2))
    gain = p.q(a)[:, None] + std * node
    active = np.where(gain > 0, rho[:, None] < 1 + clip, rho[:, None] > 1 - clip)
    ppo = float(chance @ (gain * active * (rho * (a - new) / std**2)[:, None]) @ weight)
    return abs(gradient(1.0) - ppo), abs(gradient(0.5) - ppo)


@identity()
def group_baseline() -> tuple[float, float]:
    """A group's mean as baseline scales the policy gradient by (G - 1) / G; dividing by its deviation does not.

    All 3^4 groups of four actions are enumerated; the gradient of the expected reward is exact. Control: standardised
    advantages, at the best scale. Source: taxonomy note E22; GRPO.
    """
    pi, r = np.array([0.5, 0.3, 0.2]), np.array([0.0, 1.0, 2.5])
    policy_gradient = pi * (r - pi @ r)  # with respect to the logits
    plain, standard = np.zeros(3), np.zeros(3)
    for group in product(range(3), repeat=4):
        chance, rewards = np.prod(pi[list(group)]), r[list(group)]
        scores = np.eye(3)[list(group)] - pi
        plain += chance * (rewards - rewards.mean()) @ scores / 4
        standard += chance * (rewards - rewards.mean()) / (rewards.std() + 1e-8) @ scores / 4
    scale = standard @ policy_gradient / (standard @ standard)
    return p.gap(plain, 0.75 * policy_gradient), p.gap(scale * standard, policy_gradient)
