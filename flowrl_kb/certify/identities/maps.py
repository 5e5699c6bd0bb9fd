"""One-step maps, latent policies and projections onto a small policy class."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm

from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.registry import identity

DATA = ((0.6, -1.0, 0.35), (0.4, 1.1, 0.25))
"""A data law of two modes: weights, means, deviations."""


def _log_data(a: np.ndarray) -> np.ndarray:
    return np.log(sum(w * np.exp(p.log_normal(a, m, s)) for w, m, s in DATA))


def proximal(mu: np.ndarray, c: float) -> np.ndarray:
    """argmax_a Q(a) - c (a - mu)^2 for each mu, on the grid and then by Newton steps."""
    a = p.GRID[np.argmax(p.q(p.GRID) - c * (p.GRID - np.reshape(mu, (-1, 1))) ** 2, axis=1)]
    for _ in range(20):
        a = a - (p.q_slope(a) - 2 * c * (a - mu)) / (p.q_curvature(a) - 2 * c)
    return a


@identity()
def latent_tilt() -> tuple[float, float]:
    """A KL-regularised policy over the noise of a frozen generator pushes forward to the tilt of the generator's law.

    a = G(z) = z + 0.8 sin z. Mean of test functions under N(z) exp(Q(G(z)) / lambda), against the tilt of the density
    of G(z) from its distribution function. Control: the tilt of the noise law itself. Source: taxonomy note E27;
    DSRL.
    """
    z = np.linspace(-7.0, 7.0, 40001)
    a = z + 0.8 * np.sin(z)
    latent = p.mass(p.q(a) / p.LAMBDA + p.log_normal(z, 0.0, 1.0))
    # The density of a = G(z): chance of each cell of a uniform grid of actions, through the inverse map.
    edges = np.linspace(-6.0, 6.0, 8001)
    chance = np.diff(norm.cdf(np.interp(edges, a, z)))
    middle = 0.5 * (edges[1:] + edges[:-1])
    tilt = p.mass(np.log(chance + 1e-300) + p.q(middle) / p.LAMBDA)
    plain = p.mass(p.log_normal(middle, 0.0, 1.0) + p.q(middle) / p.LAMBDA)

    def moments(law: np.ndarray, at: np.ndarray) -> np.ndarray:
        return np.array([law @ f for f in (at, at**2, np.sin(3 * at))])

    return p.gap(moments(latent, a), moments(tilt, middle)), p.gap(moments(latent, a), moments(plain, middle))


@identity(tolerance=1e-3, control=0.1)
def proximal_step() -> tuple[float, float]:
    """An implicit step (distillation penalty) and an explicit one (action gradient) part at second order in the step.

    With eta = 1 / (2 c): prox(mu) - mu - eta Q'(mu) = eta^2 Q''(mu) Q'(mu) + O(eta^3), at c = 256 and 512 and
    extrapolated. Control: the explicit step in place of the implicit one at half the step. Source: taxonomy note E28;
    FQL (2502.02538).
    """
    mu = np.linspace(-1.5, 1.5, 31)

    def second(c: float) -> np.ndarray:
        eta = 0.5 / c
        return (proximal(mu, c) - mu - eta * p.q_slope(mu)) / eta**2

    expected = p.q_curvature(mu) * p.q_slope(mu)
    found = 2 * second(512.0) - second(256.0)
    return p.gap(found, expected) / np.abs(expected).max(), p.gap(0.5 * found, expected) / np.abs(expected).max()


@identity(tolerance=1e-4, control=1e-2)
def noiseless_student() -> tuple[float, float]:
    """A distilled student that ignores its noise is drawn to the mean of the data, as TD3+BC is.

    Student side: argmin_m c E_z |m - mu(z)|^2 - Q(m) with mu the probability flow of the exact field of a two-mode
    data law, by Runge-Kutta steps from a grid of noises. TD3+BC side: argmin_m c E |m - a|^2 - Q(m) over the data
    density. Control: the mean of a student that reads its noise. Source: own derivation.
    """
    data, c = p.mass(_log_data(p.GRID)), 1.0
    node = np.linspace(-7.0, 7.0, 14001)
    weight = p.mass(p.log_normal(node, 0.0, 1.0))

    def velocity(x: np.ndarray, t: float) -> np.ndarray:
        top = bottom = 0.0
        for w, m, s in DATA:  # exact field of a mixture on the straight path
            variance = ((1 - t) * s) ** 2 + t**2
            chance = w * np.exp(-0.5 * (x - (1 - t) * m) ** 2 / variance) / np.sqrt(variance)
            clean = m + (1 - t) * s**2 / variance * (x - (1 - t) * m)
            noise = t / variance * (x - (1 - t) * m)
            top, bottom = top + chance * (noise - clean), bottom + chance
        return top / bottom

    x, levels = node.copy(), np.linspace(1.0, 0.0, 201) ** 2
    for t, u in zip(levels[:-1], levels[1:], strict=True):
        h, middle = u - t, 0.5 * (t + u)
        k1 = velocity(x, t)
        k2 = velocity(x + 0.5 * h * k1, middle)
        k3 = velocity(x + 0.5 * h * k2, middle)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + velocity(x + h * k3, u))

    def best(cost) -> float:
        start = p.GRID[np.argmin([cost(m) for m in p.GRID[::10]]) * 10]
        return minimize_scalar(cost, bracket=(start - 0.05, start + 0.05), tol=1e-12).x

    student = best(lambda m: c * weight @ (m - x) ** 2 - p.q(m))
    regularised = best(lambda m: c * data @ (m - p.GRID) ** 2 - p.q(m))
    return p.gap(student, regularised), p.gap(weight @ proximal(x, c), regularised)


@identity(tolerance=1e-5)
def one_step_penalty() -> tuple[float, float]:
    """The denoising penalty of a denoiser that ignores its input is the squared cloning error times E (alpha /
    sigma)^2.

    E |eps - (x - alpha m) / sigma|^2 summed over data, noises and the levels of a five-level grid, up to its value at
    the data mean, against the squared distance of m from that mean. Control: the weight of the velocity loss. Source:
    taxonomy note E38.
    """
    data, (node, weight) = p.mass(_log_data(p.GRID)), p.hermite(40)
    levels = np.linspace(0.2, 0.9, 5)
    mean = data @ p.GRID

    def penalty(m: float) -> float:
        total = 0.0
        for t in levels:
            s = p.cosine(np.array(t))
            x = s.alpha * p.GRID[:, None] + s.sigma * node
            total += data @ (node - (x - s.alpha * m) / s.sigma) ** 2 @ weight / len(levels)
        return float(total)

    m = np.linspace(-1.0, 1.5, 7)
    found = np.array([penalty(v) for v in m]) - penalty(mean)
    share = np.mean(np.tan(0.5 * np.pi * levels) ** -2)
    other = np.mean((0.5 * np.pi / np.sin(0.5 * np.pi * levels)) ** 2)
    return p.gap(found, share * (m - mean) ** 2), p.gap(found, other * (m - mean) ** 2)


@identity(tolerance=1e-4, control=0.1)
def projection_direction() -> tuple[float, float]:
    """Weighted likelihood fits a Gaussian to the moments of a tilt; the reverse divergence fits one of its modes.

    The forward divergence is minimised over mean and log-deviation and compared with the moments by quadrature.
    Control: the minimiser of the reverse divergence. Source: taxonomy note E33.
    """
    law = p.mass(p.q(p.GRID) / p.LAMBDA)
    mean = law @ p.GRID
    moments = np.array([mean, 0.5 * np.log(law @ (p.GRID - mean) ** 2)])

    def forward(v: np.ndarray) -> float:
        return -float(law @ p.log_normal(p.GRID, v[0], np.exp(v[1])))

    def reverse(v: np.ndarray) -> float:
        node, weight = p.hermite(80)
        return -float(weight @ (p.q(v[0] + np.exp(v[1]) * node) / p.LAMBDA) + v[1])

    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
    fit = [minimize(f, np.array([1.0, -1.0]), method="Nelder-Mead", options=options).x for f in (forward, reverse)]
    return p.gap(fit[0], moments), p.gap(fit[1], moments)
