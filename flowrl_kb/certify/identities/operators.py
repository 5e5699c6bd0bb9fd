"""Improvement operators: which law each asks for, and how they compose."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar

from flowrl_kb.certify.identities import laws
from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.registry import identity

NINE = np.linspace(-2.0, 2.0, 9)


def simplex(size: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.dirichlet(np.full(size, 3.0)), p.q(np.linspace(-2.0, 2.0, size))


def _optimum(nu: np.ndarray, penalised, gradient) -> np.ndarray:
    """Maximise over the simplex directly, knowing nothing of Lagrange conditions."""
    found = minimize(
        lambda x: -penalised(x),
        nu,
        jac=lambda x: -gradient(x),
        method="SLSQP",
        bounds=[(1e-13, 1.0)] * len(nu),
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-16, "maxiter": 1000},
    )
    return found.x


def _reverse_kl(nu: np.ndarray, q: np.ndarray, lam: float = p.LAMBDA) -> np.ndarray:
    return _optimum(nu, lambda x: x @ q - lam * np.sum(x * np.log(x / nu)), lambda x: q - lam * (np.log(x / nu) + 1))


def _forward_kl(nu: np.ndarray, q: np.ndarray, lam: float = p.LAMBDA) -> np.ndarray:
    return _optimum(nu, lambda x: x @ q + lam * nu @ np.log(x / nu), lambda x: q + lam * nu / x)


@identity()
def reverse_kl_tilt() -> tuple[float, float]:
    """max E Q - lambda KL(pi || nu) is the exponential tilt. Control: the forward KL in its place.

    Direct optimisation over nine actions against the closed form. Source: taxonomy note E03a.
    """
    nu, q = simplex()
    tilt = laws.exponential(nu, q, p.LAMBDA)
    return p.gap(_reverse_kl(nu, q), tilt), p.gap(_forward_kl(nu, q), tilt)


@identity()
def forward_kl_reciprocal() -> tuple[float, float]:
    """max E Q - lambda KL(nu || pi) is the reciprocal law. Control: the reverse KL. Source: taxonomy note E03b."""
    nu, q = simplex()
    law = laws.reciprocal(nu, q, p.LAMBDA)
    return p.gap(_forward_kl(nu, q), law), p.gap(_reverse_kl(nu, q), law)


@identity()
def chi_square_linear() -> tuple[float, float]:
    """max E Q - (lambda / 2) chi^2(pi || nu) is the affine law cut at zero. Control: not cut, which leaves the simplex.

    Source: taxonomy note E03c; GeMPO (2603.10250).
    """
    nu, q = simplex()
    found = _optimum(
        nu, lambda x: x @ q - 0.5 * p.LAMBDA * np.sum((x - nu) ** 2 / nu), lambda x: q - p.LAMBDA * (x - nu) / nu
    )
    return p.gap(found, laws.linear(nu, q, p.LAMBDA)), p.gap(found, nu * (1 + (q - nu @ q) / p.LAMBDA))


@identity()
def mirror_descent_composes() -> tuple[float, float]:
    """Three KL steps, each from the last law, are one tilt at a third of the temperature.

    Each step by direct optimisation over nine actions. Control: each step from the first law. Source: taxonomy note
    E15.
    """
    nu, q = simplex()
    law = nu
    for _ in range(3):
        law = _reverse_kl(law, q, 3.0)
    tilt = laws.exponential(nu, q, 1.0)
    return p.gap(law, tilt), p.gap(_reverse_kl(nu, q, 3.0), tilt)


@identity()
def baseline_of_exponential_weights() -> tuple[float, float]:
    """The Gaussian of largest likelihood under weights exp((Q - V) / lambda) has the moments of the tilt, for every V.

    Mean and deviation by minimising the weighted negative log-likelihood at three baselines, against the moments of
    the tilt by the grid. Control: weights cut at two. Source: own derivation; AWR (1910.00177), CRR (2006.15134).
    """
    nu, q = p.mass(p.log_reference(p.GRID)), p.q(p.GRID)
    tilt = laws.exponential(nu, q, p.LAMBDA)
    mean = tilt @ p.GRID
    exact = np.array([mean, np.sqrt(tilt @ (p.GRID - mean) ** 2)])

    def fitted(v: float, most: float) -> np.ndarray:
        w = nu * np.minimum(np.exp((q - v) / p.LAMBDA), most)

        def loss(x: np.ndarray) -> float:
            return float(w @ (0.5 * (p.GRID - x[0]) ** 2 * np.exp(-2 * x[1]) + x[1]) / w.sum())

        found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).x
        return np.array([found[0], np.exp(found[1])])

    baselines = (nu @ q, q.max(), p.LAMBDA * np.log(nu @ np.exp(q / p.LAMBDA)))
    cut = [fitted(v, 2.0) for v in baselines]
    return max(p.gap(fitted(v, np.inf), exact) for v in baselines), p.gap(cut[0], cut[1])


@identity()
def expectile_step() -> tuple[float, float]:
    """The expectile of Q is the mean of Q under a two-level tilt of the reference.

    V by minimising the asymmetric squared loss; the mean under weights tau above V and 1 - tau below. Control: V the
    quantile of the same level. Source: taxonomy note E30; IDQL (2304.10573).
    """
    nu, q, tau = p.mass(p.log_reference(p.GRID)), p.q(p.GRID), 0.8

    def mean_of_tilt(v: float) -> float:
        w = nu * np.where(q > v, tau, 1 - tau)
        return float(w @ q / w.sum())

    def loss(v: float) -> float:
        return float(nu @ (np.abs(tau - (q < v)) * (q - v) ** 2))

    v = minimize_scalar(loss, bounds=(-3.0, 1.0), method="bounded", options={"xatol": 1e-10}).x
    order = np.argsort(q)
    quantile = float(q[order][np.searchsorted(np.cumsum(nu[order]), tau)])
    return abs(mean_of_tilt(v) - v), abs(mean_of_tilt(quantile) - quantile)


@identity()
def dual_temperature() -> tuple[float, float]:
    """Dual ascent on a divergence bound selects a temperature of the one exponential family, and no other law.

    The convex dual lambda kappa + lambda log E exp(Q / lambda) is minimised; the tilt at its minimiser must be the tilt
    whose divergence from the reference is kappa, found by bisection. Control: the bound put on the opposite divergence.
    Source: taxonomy note E39.
    """
    nu, q = simplex()
    kappa = 0.2

    def dual(log_lambda: float) -> float:
        lam = np.exp(log_lambda)
        return float(lam * kappa + lam * np.log(nu @ np.exp(q / lam)))

    selected = np.exp(minimize_scalar(dual, bracket=(-1.0, 0.5), tol=1e-12).x)

    def bisected(measure) -> float:
        return brentq(lambda lam: measure(laws.exponential(nu, q, lam)) - kappa, 0.05, 20.0, xtol=1e-13)

    law = laws.exponential(nu, q, selected)
    same = laws.exponential(nu, q, bisected(lambda x: laws.divergence(x, nu)))
    opposite = laws.exponential(nu, q, bisected(lambda x: laws.divergence(nu, x)))
    return p.gap(law, same), p.gap(law, opposite)
