"""First-order moves of the reference, by following the reverse chain on a grid: a second route to their integrals."""

import numpy as np
import pytest
from numpy.polynomial.hermite_e import HermiteE
from scipy.interpolate import CubicSpline

from flowrl_kb.certify.identities.problem import hermite
from flowrl_kb.certify.witnesses import first_order

EDGES = np.linspace(0.0, np.sqrt(12.0), 801) ** 2
"""Steps in the time tau = -2 log alpha, in which the chain's noise has unit rate; short ones at the clean end."""
GRID = np.linspace(-9.0, 9.0, 241)
START = np.exp(-0.5 * GRID**2) / np.sum(np.exp(-0.5 * GRID**2))


def moved(degree, drift, size=1e-4):
    """Coefficient of He_degree in the law that the chain reaches when its drift changes by size * drift(x, alpha)."""
    node, weight = hermite(20)

    def end(size):
        value = HermiteE.basis(degree)(GRID)  # E[He(a) | x], from the clean end upwards
        for low, high in zip(EDGES[:-1], EDGES[1:], strict=True):
            keep, alpha = np.exp(-(high - low) / 2), np.exp(-(low + high) / 4)
            mean = keep * GRID + size * drift(GRID, alpha) * (high - low)
            at = mean[:, None] + np.sqrt(1 - keep**2) * node
            value = CubicSpline(GRID, value)(np.clip(at, -9.0, 9.0)) @ weight
        return START @ value

    return (end(size) - end(-size)) / (2 * size * np.prod(range(1, degree + 1)))


def slope(degree):
    return HermiteE.basis(degree).deriv()


@pytest.mark.parametrize("degree", [2, 3])
def test_q_at_one_prediction(degree):
    got = moved(degree, lambda x, alpha: slope(degree)(alpha * x) / (2 * alpha))
    want = first_order.by_one_prediction(np.ones_like(first_order.NODE), (degree,))[0]
    assert got == pytest.approx(want, rel=0.02)


@pytest.mark.parametrize("degree", [2, 3])
def test_q_at_the_end_of_the_chain(degree):
    rate = lambda alpha: np.pi / (2 * alpha * np.sqrt(1 - alpha**2))  # g^2 / (2 sigma^2) of the cosine path  # noqa: E731
    got = moved(degree, lambda x, alpha: rate(alpha) * alpha**degree * slope(degree)(x))
    want = first_order.through_chain(np.ones_like(first_order.NODE), (degree,))[0]
    assert got == pytest.approx(want, rel=0.02)
