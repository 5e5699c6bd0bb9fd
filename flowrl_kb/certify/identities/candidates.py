"""What drawing and choosing among finitely many candidates does to a law."""

from __future__ import annotations

from itertools import product
from math import factorial

import numpy as np

from flowrl_kb.certify.identities import laws
from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.registry import identity


@identity()
def best_of_n() -> tuple[float, float]:
    """The best of N is N nu F^(N-1): KL log N - (N-1)/N from the reference, and the same for every increasing map of Q.

    Law by differences of powers of the distribution function on a fine grid; its divergence against the closed form.
    Control: log N, as often quoted. Source: taxonomy note E13.
    """
    nu, q = p.mass(p.log_reference(p.GRID)), p.q(p.GRID)
    error, control = 0.0, np.inf
    for n in (2, 8):
        law = laws.best_of(nu, np.tanh(q) + q, n)
        cdf = np.array([nu[q < value].sum() + 0.5 * nu[q == value].sum() for value in q])
        density = n * nu * cdf ** (n - 1)
        error = max(error, abs(laws.divergence(density, nu) - np.log(n) + (n - 1) / n), p.gap(law, density))
        control = min(control, abs(laws.divergence(density, nu) - np.log(n)))
    return float(error), float(control)


@identity(tolerance=1e-8)
def finite_candidate_law() -> tuple[float, float]:
    """Softmax resampling of N draws: sum over all outcomes against one integral of a Laplace transform.

    Three actions, N = 7. Control: N = 6. Source: taxonomy note E14 (law for finite N derived here).
    """
    nu, weight = np.array([0.5, 0.3, 0.2]), np.exp(np.array([0.0, 1.0, 2.5]))

    def enumerated(n: int) -> np.ndarray:
        law = np.zeros(3)
        for counts in product(range(n + 1), repeat=3):
            if sum(counts) == n:
                c = np.array(counts)
                chance = factorial(n) / np.prod([factorial(k) for k in counts]) * np.prod(nu**c)
                law += chance * c * weight / (c @ weight)
        return law

    return p.gap(enumerated(7), laws.self_normalised(nu, weight, 7)), p.gap(
        enumerated(7), laws.self_normalised(nu, weight, 6)
    )


@identity(tolerance=2e-2, control=0.5)
def softmax_resampling() -> tuple[float, float]:
    """Softmax resampling of N draws approaches the tilt with error 1/N, in total variation.

    Ratio of the distances at N = 256 and 512, which tends to 2. Control: distance to the tilt of another temperature,
    whose ratio tends to 1. Source: taxonomy note E14.
    """
    nu, q = p.mass(p.log_reference(p.GRID[::10])), p.q(p.GRID[::10])

    def ratio(temperature: float) -> float:
        tilt = laws.exponential(nu, q, temperature)
        at = [laws.variation(laws.self_normalised(nu, np.exp(q / p.LAMBDA), n), tilt) for n in (256, 512)]
        return at[0] / at[1]

    return abs(ratio(p.LAMBDA) - 2), abs(ratio(0.8 * p.LAMBDA) - 2)


@identity()
def noisy_proposals() -> tuple[float, float]:
    """Weights exp(Q / lambda) on proposals a + s n, a ~ pi_old: the reference is pi_old convolved with N(0, s^2).

    Mean and spread of the reweighted proposals by Gauss-Hermite sums over (a, n), against the tilt of the convolved
    Gaussian on a grid; pi_old = N(0.3, 0.3^2), s = 0.2. Control: the tilt of pi_old itself. Source: taxonomy note E16.
    """
    node, weight = p.hermite(80)
    a = 0.3 + 0.3 * node[:, None] + 0.2 * node[None, :]
    w = weight[:, None] * weight[None, :] * np.exp(p.q(a) / p.LAMBDA)

    def moments(a: np.ndarray, w: np.ndarray) -> np.ndarray:
        m = np.array([np.sum(w * f) for f in (a, a**2, np.sin(3 * a))]) / w.sum()
        return m

    def on_grid(std: float) -> np.ndarray:
        return moments(p.GRID, p.mass(p.q(p.GRID) / p.LAMBDA + p.log_normal(p.GRID, 0.3, std)))

    return p.gap(moments(a, w), on_grid(float(np.hypot(0.3, 0.2)))), p.gap(moments(a, w), on_grid(0.3))
