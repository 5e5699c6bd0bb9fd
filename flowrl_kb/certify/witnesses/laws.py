"""Witnesses that compare the laws which operators ask for, at equal expected Q where they have a strength."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize

from flowrl_kb.certify.identities import laws
from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.maps import proximal

NU, Q = p.mass(p.log_reference(p.GRID)), p.q(p.GRID)
BINS = np.linspace(-6.0, 6.0, 121)


def _binned(at: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.histogram(at, BINS, weights=weight)[0]


def _exponential_with(value: float, nu: np.ndarray = NU, q: np.ndarray = Q) -> np.ndarray:
    """The exponential tilt whose expected Q is `value`."""
    lam = brentq(lambda lam: laws.exponential(nu, q, lam) @ q - value, 0.02, 500.0, xtol=1e-12)
    return laws.exponential(nu, q, lam)


def _proximal_with(value: float) -> np.ndarray:
    """Where the reference's grid goes under the proximal map whose expected Q is `value`."""
    log_c = brentq(lambda log_c: NU @ p.q(proximal(p.GRID, np.exp(log_c))) - value, -2.0, 8.0, xtol=1e-10)
    return proximal(p.GRID, np.exp(log_c))


def exponential_and_affine() -> tuple[float, float]:
    """Total variation of the exponential tilt at lambda = 0.7 and the affine law of equal expected Q.

    Control: the same with the mean of Q added to Q, which moves neither law. Source: taxonomy note E35.
    """

    def apart(q: np.ndarray) -> tuple[np.ndarray, float]:
        tilt = laws.exponential(NU, q, p.LAMBDA)
        lam = brentq(lambda lam: laws.linear(NU, q, lam) @ q - tilt @ q, 0.05, 500.0, xtol=1e-12)
        return laws.linear(NU, q, lam), laws.variation(tilt, laws.linear(NU, q, lam))

    (law, figure), (shifted, _) = apart(Q), apart(Q + 3.0)
    return figure, laws.variation(law, shifted)


def exponential_and_best_of_n() -> tuple[float, float]:
    """Total variation of the best of four and the exponential tilt of equal expected Q.

    Control: the best of four as 4 nu F^3, by an increasing map of Q. Source: taxonomy note E35.
    """
    best, mapped = laws.best_of(NU, Q, 4), np.tanh(Q) + Q
    cdf = (mapped[:, None] > mapped) @ NU + 0.5 * NU
    return laws.variation(best, _exponential_with(best @ Q)), laws.variation(best, 4 * NU * cdf**3)


def exponential_and_proximal() -> tuple[float, float]:
    """Total variation, in 120 bins, of the exponential tilt at lambda = 0.7 and the proximal image of equal expected Q.

    Control: the image of the reference under the increasing map that carries it to the tilt. Source: taxonomy note E35.
    """
    tilt = laws.exponential(NU, Q, p.LAMBDA)
    carried = np.interp(np.cumsum(NU) - 0.5 * NU, np.cumsum(tilt) - 0.5 * tilt, p.GRID)
    law = _binned(p.GRID, tilt)
    figure = laws.variation(law, _binned(_proximal_with(tilt @ Q), NU))
    return figure, laws.variation(law, _binned(carried, NU))


def best_of_n_and_proximal() -> tuple[float, float]:
    """Total variation, in 120 bins, of the best of four and the proximal image of equal expected Q.

    Control: the image of the reference under the increasing map that carries it to the best of four.
    """
    best = laws.best_of(NU, Q, 4)
    carried = np.interp(np.cumsum(NU) - 0.5 * NU, np.cumsum(best) - 0.5 * best, p.GRID)
    law = _binned(p.GRID, best)
    return laws.variation(law, _binned(_proximal_with(best @ Q), NU)), laws.variation(law, _binned(carried, NU))


def filter_and_exponential() -> tuple[float, float]:
    """Total variation of the reference's actions of at least average Q and the exponential tilt of equal expected Q.

    Control: a Q of two values, where the filter is the tilt's limit at low temperature (0.05). Source: own derivation.
    """
    kept, step = laws.kept(NU, Q, NU @ Q), (p.GRID > 0).astype(float)
    figure = laws.variation(kept, _exponential_with(kept @ Q))
    return figure, laws.variation(laws.kept(NU, step, NU @ step), laws.exponential(NU, step, 0.05))


def weights_and_none() -> tuple[float, float]:
    """Smallest total variation of the reference and its exponential, affine and filtered reweighting at lambda = 0.7.

    Control: the largest one for a constant Q.
    """

    def moves(q: np.ndarray) -> list[float]:
        weighted = (laws.exponential(NU, q, p.LAMBDA), laws.linear(NU, q, p.LAMBDA), laws.kept(NU, q, NU @ q - 1e-9))
        return [laws.variation(NU, law) for law in weighted]

    return min(moves(Q)), max(moves(np.full_like(Q, 0.7)))


def moments_of_exponential_and_affine() -> tuple[float, float]:
    """|ratio - 1| of the deviations of the exponential tilt at lambda = 0.7 and the affine law of equal mean.

    Mean and deviation are what a Gaussian fitted by weighted likelihood keeps of a law. Control: the ratio of the
    affine law's deviation to its own after the mean of Q is added to Q.
    """

    def deviation(law: np.ndarray) -> float:
        return float(np.sqrt(law @ (p.GRID - law @ p.GRID) ** 2))

    tilt = laws.exponential(NU, Q, p.LAMBDA)
    lam = brentq(lambda lam: laws.linear(NU, Q, lam) @ p.GRID - tilt @ p.GRID, 0.05, 500.0, xtol=1e-12)
    affine, shifted = laws.linear(NU, Q, lam), laws.linear(NU, Q + 3.0, lam)
    return abs(deviation(tilt) / deviation(affine) - 1), abs(deviation(shifted) / deviation(affine) - 1)


def uniform_floor_and_exponential() -> tuple[float, float]:
    """Smallest total variation, over lambda, of exp(Q / lambda) / Z and the rest point of advantage-weighted choices.

    pi <- (B + c U) / (1 + c), B(a) ~ E (Q(a*) - mean_k Q(a_k)) 1[a* = a], a* the best of 64 draws a_k of pi, c = 0.2,
    on nine actions. Control: one good action and eight equal ones, where the tilt of the same share is the rest point.
    Source: QVPO (2405.16173), published numbers; taxonomy note E36.
    """
    n, share = 64, 0.2

    def improved(law: np.ndarray, q: np.ndarray) -> np.ndarray:
        order = np.argsort(q, kind="stable")
        mass, value = law[order], q[order]
        upto = np.cumsum(mass)
        below = np.concatenate([[0.0], upto[:-1]])
        best = upto**n - below**n
        one_of = np.cumsum(mass * value) - mass * value  # E Q(a_1) 1[Q(a_1) < q]
        drawn = one_of * (upto ** (n - 1) - below ** (n - 1)) + mass * value * upto ** (n - 1)
        weight = np.empty_like(law)
        weight[order] = np.maximum(best * value - drawn, 0.0)
        return (weight / weight.sum() + share / len(law)) / (1 + share)

    def apart(q: np.ndarray) -> float:
        law = np.full(len(q), 1 / len(q))
        for _ in range(2000):
            law = improved(law, q)
        tilts = (p.mass(q / lam) for lam in np.geomspace(0.01, 100.0, 20001))
        return min(laws.variation(law, tilt) for tilt in tilts)

    return apart(p.q(np.linspace(-2.0, 2.0, 9))), apart(np.eye(9)[6])


def projection_direction() -> tuple[float, float]:
    """Distance of the means of two Gaussian fits to exp(Q / lambda): weighted likelihood and reverse divergence.

    Control: a quadratic Q, whose tilt is Gaussian. Source: taxonomy note E33.
    """

    def apart(q: np.ndarray, function) -> float:
        node, weight = p.hermite(80)
        options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}

        def reverse(v: np.ndarray) -> float:
            return -float(weight @ function(v[0] + np.exp(v[1]) * node) / p.LAMBDA + v[1])

        fit = minimize(reverse, np.array([1.0, -1.0]), method="Nelder-Mead", options=options).x
        return abs(float(p.mass(q / p.LAMBDA) @ p.GRID) - float(fit[0]))

    return apart(Q, p.q), apart(-0.5 * (p.GRID - 0.4) ** 2, lambda a: -0.5 * (a - 0.4) ** 2)


def returns_and_their_mean() -> tuple[float, float]:
    """Distance of the means of two laws: actions weighted by exp(R / lambda) of each return, and by exp(E R / lambda).

    R = Q(a) +- 0.6 with equal chance for a > 0, R = Q(a) below. Control: the same spread of returns at every action.
    Source: own derivation.
    """

    def apart(spread: np.ndarray) -> float:
        outcomes = np.stack([Q + spread, Q - spread])
        weight = NU * np.mean(np.exp((outcomes - Q.max()) / p.LAMBDA), axis=0)
        return float(abs(weight @ p.GRID / weight.sum() - laws.exponential(NU, Q, p.LAMBDA) @ p.GRID))

    return apart(np.where(p.GRID > 0, 0.6, 0.0)), apart(np.full_like(Q, 0.6))
