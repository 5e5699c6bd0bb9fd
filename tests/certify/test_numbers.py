"""Updates of a single number, one scenario of which is mostly noise."""

import numpy as np
import pytest

from flowrl_kb.certify import compare as of_features
from flowrl_kb.certify import moments
from flowrl_kb.certify.compare import references
from flowrl_kb.certify.moments import Moments
from flowrl_kb.certify.numbers import compare, decide, fitted_covariance, fitted_scale

SCALARS = {
    "one scenario is mostly noise": ((1.0, 0.2, 1.0), (0.5, 6.0, 0.5)),
    "all but one are mostly noise": ((0.02, 0.4, 0.3), (2.0, 2.0, 0.4)),
}
"""Means and deviations of updates of a single number, one in each of three scenarios."""


def number(rng, mean, noise, n):
    """The moments of n replicates of such an update."""
    mean, noise = np.array(mean), np.array(noise)
    drawn = mean + noise / np.sqrt(n) * rng.normal(size=3)
    return Moments(n, drawn[:, None, None], (noise**2)[:, None, None, None])


@pytest.mark.parametrize("which", SCALARS)
@pytest.mark.parametrize("n", [64, 1024, 16384])
def test_a_scale_that_was_fitted_to_noise_is_no_difference(which, n):
    (mean, noise), rng = SCALARS[which], np.random.default_rng(12)
    half = lambda numbers: 0.5 * np.array(numbers)  # noqa: E731
    verdicts = [compare(number(rng, mean, noise, n), number(rng, half(mean), half(noise), n)) for _ in range(500)]
    assert "different" not in {result.verdict for result in verdicts}


@pytest.mark.parametrize("which", SCALARS)
def test_a_number_that_differs_in_one_scenario_is_found_beside_a_noisy_one(which):
    (mean, noise), rng = SCALARS[which], np.random.default_rng(13)
    other = np.array(mean) * np.array([1.0, 1.0, -1.0])
    results = [compare(number(rng, mean, noise, 16384), number(rng, other, noise, 16384)) for _ in range(50)]
    assert all(result.verdict == "different" for result in results)


def test_the_covariance_of_residuals_knows_that_the_scale_was_fitted():
    """Against simulated residuals: their squares average to the trace, which without the correction is too small."""
    rng, truth, squares, traces, plain = (
        np.random.default_rng(14),
        np.array([[[0.1, 0.1]], [[0.2, -0.1]], [[0.1, 0.2]]]),
        [],
        [],
        [],
    )
    for _ in range(400):
        p, c = (moments.of(truth[:, None] + 0.1 * rng.normal(size=(3, 64, 1, 2))) for _ in range(2))
        reference, _ = references(p)
        kappa, share = fitted_scale(p, c, reference)
        covariance, _ = fitted_covariance(p, c, kappa, share)
        squares.append(np.sum((p.mean - kappa * c.mean) ** 2, axis=(1, 2)))
        traces.append(np.trace(covariance, axis1=-2, axis2=-1).sum(1))
        plain.append(np.trace(p.of_mean + kappa**2 * c.of_mean, axis1=-2, axis2=-1).sum(1))
    errors = np.std(squares, axis=0) / 20.0
    assert np.all(np.abs(np.mean(squares, axis=0) - np.mean(traces, axis=0)) < 4 * errors)
    assert np.any(np.abs(np.mean(squares, axis=0) - np.mean(plain, axis=0)) > 6 * errors)


def test_an_update_that_is_not_measured_decides_nothing_and_one_that_is_zero_does():
    rng = np.random.default_rng(15)
    p, noise = number(rng, (1.0, 1.0, 1.0), (0.1, 0.1, 0.1), 64), np.ones(3)
    unknown = [compare(p, number(rng, (0.0, 0.0, 0.0), noise, 64)).verdict for _ in range(200)]
    assert set(unknown) == {"undecided"}
    assert compare(p, number(rng, (0.0, 0.0, 0.0), 0.0 * noise, 64)).verdict == "different"


def test_a_scale_taken_for_known_calls_copies_different():
    """What `compare.compare` would say of the first case, and why it is not asked."""
    (mean, noise), rng = SCALARS["one scenario is mostly noise"], np.random.default_rng(12)
    pairs = [(number(rng, mean, noise, 16384), number(rng, mean, noise, 16384)) for _ in range(100)]
    assert np.mean([of_features.compare(p, c).verdict == "different" for p, c in pairs]) > 0.5


class Grown:
    """A number that grows as fingerprints do."""

    def __init__(self, mean, noise, seed):
        self.mean, self.noise, self.rng = mean, noise, np.random.default_rng(seed)

    def take(self, n):
        return number(self.rng, self.mean, self.noise, n)


@pytest.mark.parametrize("factor, verdict", [(2.0, "equal"), (-2.0, "different")])
def test_numbers_are_decided_up_to_a_positive_scale(factor, verdict):
    mean, noise = np.array([1.0, 0.5, 2.0]), np.full(3, 0.2)
    result = decide(Grown(mean, noise, 0), Grown(factor * mean, noise, 1))
    assert result.verdict == verdict and result.scale == pytest.approx(1 / factor, rel=0.05)
