"""Denoising chains: path and marginal ratios, the two gradient routes, noisy targets, control of a path."""

from __future__ import annotations

import numpy as np

from flowrl_kb.certify.identities import laws
from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.registry import identity

THETA, S0, S1 = 0.7, 0.5, 0.4


def _cube(size: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Nodes (x0, n0, n1) and weights for expectations under three unit normals."""
    node, weight = p.hermite(size)
    x0, n0, n1 = np.meshgrid(node, node, node, indexing="ij")
    return x0, n0, n1, weight[:, None, None] * weight[None, :, None] * weight[None, None, :]


@identity()
def path_ratio() -> tuple[float, float]:
    """The path ratio of two chains, averaged over the paths that end in a, is the ratio of their densities at a.

    x1 = theta x0 + s0 n0, a = theta x1 + s1 n1, theta 0.7 against 0.9. Average by a two-dimensional sum over (x0,
    x1), density ratio in closed form. Control: the ratio of the last step alone. Source: taxonomy note E17.
    """
    other, a = 0.9, np.array([-1.0, 0.2, 0.8])
    x = np.linspace(-7.0, 7.0, 701)

    def joint(theta: float, a: float) -> tuple[np.ndarray, np.ndarray]:
        first = p.log_normal(x[:, None], 0.0, 1.0) + p.log_normal(x[None, :], theta * x[:, None], S0)
        return first, p.log_normal(a, theta * x[None, :], S1)

    def marginal(theta: float) -> np.ndarray:
        return np.exp(p.log_normal(a, 0.0, np.sqrt(theta**4 + theta**2 * S0**2 + S1**2)))

    average, last = [], []
    for end in a:
        (old_first, old_last), (new_first, new_last) = joint(THETA, end), joint(other, end)
        w = p.mass((old_first + old_last).ravel())
        average.append(w @ np.exp(new_first + new_last - old_first - old_last).ravel())
        last.append(w @ np.broadcast_to(np.exp(new_last - old_last), old_first.shape).ravel())
    ratio = marginal(other) / marginal(THETA)
    return p.gap(average, ratio), p.gap(last, ratio)


@identity()
def chain_score_function() -> tuple[float, float]:
    """Pathwise and likelihood-ratio gradients of one all-stochastic chain, by Gauss-Hermite quadrature.

    x1 = theta x0 + s0 n0, x2 = theta x1 + s1 n1, x0 ~ N(0, 1): d/dtheta E Q(x2) as E[Q'(x2)(x1 + theta x0)] and as
    E[Q(x2)(score of step 0 + score of step 1)]. Control: the last step drawn without noise but scored with s1.
    """
    x0, n0, n1, w = _cube()
    x1 = THETA * x0 + S0 * n0

    def both(last: float) -> tuple[float, float]:
        x2 = THETA * x1 + last * n1
        pathwise = np.sum(w * p.q_slope(x2) * (x1 + THETA * x0))
        ratio = np.sum(w * p.q(x2) * ((x1 - THETA * x0) * x0 / S0**2 + (x2 - THETA * x1) * x1 / S1**2))
        return pathwise, ratio

    return p.gap(*both(S1)), p.gap(*both(0.0))


@identity()
def noise_as_last_step() -> tuple[float, float]:
    """Noise added to the action inside the loss is the noise of a last step: one gradient.

    A chain whose last step is noise-free plus N(0, 0.1^2): pathwise gradient by quadrature. A chain whose last step
    has that deviation: its action is N(0, v), and d E Q / d theta = (1/2) E Q'' dv / dtheta. Control: a floor of 0.3
    in the chain. Source: own derivation.
    """
    x0, n0, n1, w = _cube()
    x1 = THETA * x0 + S0 * n0
    added = np.sum(w * p.q_slope(THETA * x1 + 0.1 * n1) * (x1 + THETA * x0))

    def floored(std: float) -> float:
        node, weight = p.hermite()
        v = THETA**4 + THETA**2 * S0**2 + std**2
        return 0.5 * weight @ p.q_curvature(np.sqrt(v) * node) * (4 * THETA**3 + 2 * THETA * S0**2)

    return p.gap(added, floored(0.1)), p.gap(added, floored(0.3))


@identity()
def undiscounted_chain() -> tuple[float, float]:
    """A denoising discount g weighs step k of the score gradient by g^(K-1-k): the gap to the chain's gradient is 1 -
    g times the share of the earlier steps.

    Two steps, g = 0.99: (pathwise gradient - discounted score gradient) / (1 - g) against the pathwise derivative
    through the first step alone. Control: a last step drawn without noise but scored with it. Source: own derivation.
    """
    x0, n0, n1, w = _cube()
    x1, g = THETA * x0 + S0 * n0, 0.99

    def missing(last: float) -> float:
        x2 = THETA * x1 + last * n1
        pathwise = np.sum(w * p.q_slope(x2) * (x1 + THETA * x0))
        scores = g * (x1 - THETA * x0) * x0 / S0**2 + (x2 - THETA * x1) * x1 / S1**2
        return (pathwise - np.sum(w * p.q(x2) * scores)) / (1 - g)

    first = np.sum(w * p.q_slope(THETA * x1 + S1 * n1) * THETA * x0)
    return p.gap(missing(S1), first), p.gap(missing(0.0), first)


@identity()
def noisy_target() -> tuple[float, float]:
    """Matching the score of one noising step x_s -> x_t has the minimiser of matching the score of the clean pair.

    Posterior mean of the step's score over x_s by quadrature with the noised density, against that of -eps / sigma over
    clean actions. Control: x_s of another law than the noised policy. Source: taxonomy note E20; AWM (2509.25050).
    """
    law, a_s, s_s, a_t, s_t = p.log_reference(p.GRID), 0.95, 0.3, p.ALPHA, p.SIGMA
    ratio = a_t / a_s
    std = np.sqrt(s_t**2 - (ratio * s_s) ** 2)

    def noisy(log_density: np.ndarray) -> np.ndarray:
        w = p.posterior(log_density, p.POINTS, ratio, std)
        return (w * -(p.POINTS[:, None] - ratio * p.GRID) / std**2).sum(1)

    clean = p.posterior(law, p.POINTS, a_t, s_t)
    clean = (clean * -(p.POINTS[:, None] - a_t * p.GRID) / s_t**2).sum(1)
    at_s = np.log(p.noised(law, p.GRID, a_s, s_s))
    return p.gap(noisy(at_s), clean), p.gap(noisy(p.log_normal(p.GRID, 0.0, 1.0)), clean)


@identity()
def memoryless_control() -> tuple[float, float]:
    """KL-regularised control of a path ends in the tilt if its start is independent of its end under the base process.

    Start X0 and end X1 of the base process are jointly Gaussian; the controlled end law sums the tilted transitions
    of every start. Largest deviation of the distribution function from that of the tilt. Control: correlation 0.6.
    Source: taxonomy note E26; Adjoint Matching (2409.08861).
    """
    grid, (node, weight) = p.GRID[::4], p.hermite(80)
    reward = p.q(grid) / p.LAMBDA
    tilt = np.cumsum(laws.exponential(p.mass(p.log_reference(grid)), p.q(grid), p.LAMBDA))

    def end(correlation: float) -> np.ndarray:
        mean, std = p.MEAN + correlation * p.STD * node, p.STD * np.sqrt(1 - correlation**2)
        return np.cumsum(weight @ p.mass(p.log_normal(grid, mean[:, None], std) + reward))

    return p.gap(end(0.0), tilt), p.gap(end(0.6), tilt)


@identity(tolerance=0.05, control=0.5)
def level_of_an_adjoint() -> tuple[float, float]:
    """Adjoints that read the base at the level of a state or one step later have one limit, which both near like h.

    Base N(0, 0.6^2), straight path from level 0.9, slope one at the end: by the recursion in 400 and 800 steps, against
    the gradient alpha s^2 / (alpha^2 s^2 + sigma^2) of the posterior mean. Largest deviation of a ratio of errors from
    2, of both readings. Control: the recursion of a base of deviation 0.8. Source: own derivation.
    """

    def error(steps: int, later: int, std: float) -> float:
        t = np.linspace(0.9, 0.0, steps + 1)
        carried, back = 1.0, []
        for k in reversed(range(steps)):
            read, signal = t[k + later], 1 - t[k + 1]
            rate = ((1 - read) * std**2 - read) / ((1 - read) ** 2 * std**2 + read**2)
            carried *= 1 + (t[k] - t[k + 1]) * (2 * rate - 1 / signal)
            back.append(carried)
        exact = (1 - t) * 0.6**2 / ((1 - t) ** 2 * 0.6**2 + t**2)
        return p.gap(back[::-1], exact[:-1])

    def off(std: float) -> list[float]:
        return [abs(error(400, later, std) / error(800, later, std) - 2) for later in (0, 1)]

    return max(off(0.6)), min(off(0.8))


@identity()
def path_divergence() -> tuple[float, float]:
    """KL of two chains is the KL of their actions plus the mean KL of the paths given the action.

    Linear Gaussian chains, theta 0.7 against 0.9. Left side step by step; right side by conditioning the joint
    Gaussians. Control: the action's KL alone, which is smaller. Source: taxonomy note E29.
    """

    def joint(theta: float) -> np.ndarray:
        mix = np.array([[1, 0, 0], [theta, S0, 0], [theta**2, theta * S0, S1]])
        return mix @ mix.T

    one, other = joint(THETA), joint(0.9)
    steps = 0.5 * (THETA - 0.9) ** 2 * (one[0, 0] / S0**2 + one[1, 1] / S1**2)

    def gaussian_kl(a: np.ndarray, b: np.ndarray) -> float:
        return 0.5 * float(np.trace(np.linalg.solve(b, a)) - len(a) + np.linalg.slogdet(b)[1] - np.linalg.slogdet(a)[1])

    def conditional(c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gain = c[:2, 2] / c[2, 2]
        return gain, c[:2, :2] - np.outer(gain, c[2, :2])

    (gain, cov), (other_gain, other_cov) = conditional(one), conditional(other)
    shift = gain - other_gain
    inside = gaussian_kl(cov, other_cov) + 0.5 * one[2, 2] * float(shift @ np.linalg.solve(other_cov, shift))
    ends = gaussian_kl(one[2:, 2:], other[2:, 2:])
    return abs(steps - ends - inside), abs(steps - ends)
