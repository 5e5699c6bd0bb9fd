"""The comparison against synthetic updates whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2

from flowrl_kb.certify import moments
from flowrl_kb.certify.compare import ALPHA_EQUAL, MARGIN, WIDE, compare, decide, exceedance, residual_test
from flowrl_kb.certify.moments import Moments

S, B, M = 3, 4, 40


def sample(rng, mean, n, noise=0.3) -> Moments:
    return moments.of(mean[:, None] + noise * rng.normal(size=(S, n, B, M)))


@pytest.fixture(scope="module")
def mean():
    return np.random.default_rng(0).normal(size=(S, B, M)) / np.sqrt(M)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0.01, 100.0))
def test_merged_moments_are_those_of_all_rows(first, second, seed, size):
    rows = size * np.random.default_rng(seed).normal(1.0, 1.0, (2, first + second, 3, 4))
    merged = moments.merged(moments.of(rows[:, :first]), moments.of(rows[:, first:]))
    flat = rows.swapaxes(1, 2).reshape(6, first + second, 4)
    assert merged.n == first + second
    assert merged.mean.reshape(6, 4) == pytest.approx(flat.mean(1), abs=1e-12 * size)
    for found, block in zip(merged.covariance.reshape(6, 4, 4), flat, strict=True):
        assert found == pytest.approx(np.cov(block.T), abs=1e-11 * size**2)


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_exceedance_of_equal_eigenvalues_is_the_chi_square_law(count):
    levels = np.array([1e-1, 1e-2, 1e-4, 1e-6, 1e-9])
    at = chi2.isf(levels, count)
    found = np.array([exceedance(np.full(count, 0.3), 0.3 * x) for x in at])
    if count > 1:
        assert found == pytest.approx(levels, rel=0.05)
    else:  # the approximation is worst for one eigenvalue, where it errs towards caution
        assert ((levels <= found) & (found < 1.15 * levels)).all()


@pytest.mark.parametrize("spectrum", [0.5 ** np.arange(12), np.r_[1.0, np.full(20, 0.05)], np.r_[1.0, 0.9, 0.02, 0.01]])
def test_exceedance_of_unequal_eigenvalues_is_that_of_simulated_sums(spectrum):
    draws = np.random.default_rng(0).normal(size=(1_000_000, len(spectrum))) ** 2 @ spectrum
    for x in np.quantile(draws, [0.9, 0.99, 0.999, 0.9999]):
        count = int((draws > x).sum())
        assert exceedance(spectrum, float(x)) * len(draws) == pytest.approx(count, rel=0.08, abs=4 * count**0.5)


def test_exceedance_needs_no_eigenvalue():
    assert exceedance(np.zeros(3), 0.0) == 1.0 and exceedance(np.zeros(3), 1e-9) == 0.0


def test_the_square_is_unbiased():
    """The residual of a single block, squared, averages to the true square over its reference."""
    rng = np.random.default_rng(1)
    truth, reference = np.full((1, 1, M), 0.05), np.ones((1, 1))
    found = []
    for _ in range(400):
        drawn = moments.of(truth[:, None] + 0.3 * rng.normal(size=(1, 32, 1, M)))
        found.append(residual_test(drawn.mean, drawn.of_mean, reference, MARGIN).residual ** 2)
    assert abs(np.mean(found) - (truth**2).sum()) < 4 * np.std(found) / np.sqrt(400)


def boundary(spectrum: np.ndarray, direction: np.ndarray, noise: float, trials: int, seed: int) -> int:
    """How often a single block with a residual of exactly the margin is called equal.

    `noise` is the trace of the mean's covariance in units of the squared margin.
    """
    rng, count = np.random.default_rng(seed), 0
    variance = spectrum / spectrum.sum() * noise * MARGIN**2
    truth = MARGIN * direction / np.linalg.norm(direction)
    for _ in range(trials):
        drawn = truth + rng.normal(size=len(spectrum)) * np.sqrt(variance)
        result = residual_test(drawn[None, None], np.diag(variance)[None, None], np.ones((1, 1)), MARGIN)
        count += result.verdict == "equal"
    return count


SPECTRA = {2: 0.42 ** np.arange(24), 5: 0.68 ** np.arange(24), 12: 0.87 ** np.arange(24)}
"""By about their effective rank, tr^2 V / tr V^2."""


@pytest.mark.parametrize("rank", SPECTRA)
@pytest.mark.parametrize("noise", [0.05, 0.2])
@pytest.mark.parametrize("where", ["random", "noisiest"])
def test_a_residual_at_the_margin_is_rarely_called_equal(rank, noise, where):
    spectrum = SPECTRA[rank]
    effective = spectrum.sum() ** 2 / (spectrum**2).sum()
    assert 0.7 * rank < effective < 1.4 * rank
    direction = np.random.default_rng(rank).normal(size=24) if where == "random" else np.eye(24)[0]
    trials = 400
    assert boundary(spectrum, direction, noise, trials, rank) <= binom.isf(1e-3, trials, ALPHA_EQUAL)


def test_copies_are_equal_at_any_positive_scale(mean):
    rng = np.random.default_rng(2)
    result = compare(sample(rng, mean, 3000, 0.06), sample(rng, mean / 5.0, 3000, 0.012))
    assert result.verdict == "equal" and abs(result.scale - 5.0) < 0.05 and abs(result.variance_ratio - 1) < 0.05


def test_no_copy_is_ever_called_different(mean):
    rng = np.random.default_rng(3)
    verdicts = [compare(sample(rng, mean, 64), sample(rng, mean, 64)).verdict for _ in range(100)]
    assert "different" not in verdicts


def changed(rng, mean, size):
    """The mean with one block moved by `size` of its norm in a random direction."""
    direction, moved = rng.normal(size=M), mean.copy()
    moved[1, 2] += size * np.linalg.norm(mean[1, 2]) * direction / np.linalg.norm(direction)
    return moved


@pytest.mark.parametrize("size", [2 * MARGIN, 0.5])
def test_a_change_in_one_block_is_found(mean, size):
    rng = np.random.default_rng(4)
    result = compare(sample(rng, changed(rng, mean, size), 800, 0.06), sample(rng, mean, 800, 0.06))
    assert result.verdict == "different" and result.worst == (1, 2)
    assert result.residual == pytest.approx(size, rel=0.25)


def test_changes_of_twice_the_margin_are_found_as_often_as_the_stated_power(mean):
    """At few replicates, where the power is neither 0 nor 1; it is stated for the weakest block."""
    rng, stated, found = np.random.default_rng(8), [], []
    for _ in range(60):
        result = compare(sample(rng, changed(rng, mean, 2 * MARGIN), 200, 0.06), sample(rng, mean, 200, 0.06))
        stated.append(result.power)
        found.append(result.verdict == "different")
    assert 0.02 < np.mean(stated) < 0.98
    assert np.mean(found) > np.mean(stated) - 3 * np.sqrt(0.25 / 60)


def test_a_scale_that_differs_between_scenarios_is_found(mean):
    rng = np.random.default_rng(5)
    scaled = mean * np.array([1.0, 1.2, 1.0])[:, None, None]
    assert compare(sample(rng, mean, 4000), sample(rng, scaled, 4000)).verdict == "different"


def test_the_opposite_sign_is_different(mean):
    rng = np.random.default_rng(6)
    assert compare(sample(rng, mean, 500), sample(rng, -mean, 500)).verdict == "different"


def test_few_samples_decide_nothing(mean):
    rng = np.random.default_rng(7)
    assert compare(sample(rng, mean, 64, 3.0), sample(rng, mean, 64, 3.0)).verdict == "undecided"


class Grown:
    """A synthetic update that grows as fingerprints do."""

    def __init__(self, rng, mean, noise):
        self.rng, self.mean, self.noise, self.n = rng, mean, noise, 0

    def take(self, n):
        self.n = n
        return sample(self.rng, self.mean, n, self.noise)


def test_growth_stops_at_the_first_look_that_decides(mean):
    rng = np.random.default_rng(9)
    first, second = Grown(rng, mean, 0.3), Grown(rng, -mean, 0.3)
    assert decide(first, second, (64, 128)).verdict == "different" and first.n == second.n == 64


def test_the_wide_margin_is_tried_at_the_last_look_and_named(mean):
    rng = np.random.default_rng(10)
    result = decide(Grown(rng, mean, 0.06), Grown(rng, mean, 0.06), (64, 300))
    assert (result.verdict, result.margin, result.replicates) == ("equal", WIDE, 300)


def test_a_hopeless_comparison_is_not_grown(mean):
    rng = np.random.default_rng(11)
    first = Grown(rng, mean, 3.0)
    result = decide(first, Grown(rng, mean, 3.0), (64, 128, 256), hopeless=0.0)
    assert result.verdict == "undecided" and first.n < 256
