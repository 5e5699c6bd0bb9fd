"""The comparison against synthetic updates whose truth is known."""

import numpy as np
import pytest

from flowrl_kb.certify.compare import MARGIN, _unbiased_square, compare

S, B, M = 3, 4, 40


def replicates(rng, mean, n, noise=0.3):
    return mean[:, None] + noise * rng.normal(size=(S, n, B, M))


@pytest.fixture(scope="module")
def mean():
    return np.random.default_rng(0).normal(size=(S, B, M)) / np.sqrt(M)


def test_the_square_is_unbiased_and_its_error_calibrated():
    rng = np.random.default_rng(1)
    truth = np.full((1, 1, M), 0.05)
    found = [[v.item() for v in _unbiased_square(0.05 + 0.5 * rng.normal(size=(1, 32, 1, M)))] for _ in range(2000)]
    square, error = np.array(found).T
    assert abs(square.mean() - (truth**2).sum()) < 4 * square.std() / np.sqrt(2000)
    assert abs(error.mean() / square.std() - 1) < 0.1


def test_copies_are_equal_at_any_positive_scale(mean):
    rng = np.random.default_rng(2)
    p, c = replicates(rng, mean, 4000), replicates(rng, mean, 4000) / 5.0
    result = compare(p, c)
    assert result.verdict == "equal" and abs(result.scale - 5.0) < 0.05 and abs(result.variance_ratio - 1) < 0.05


def test_no_copy_is_ever_called_different(mean):
    rng = np.random.default_rng(3)
    verdicts = [compare(replicates(rng, mean, 64), replicates(rng, mean, 64)).verdict for _ in range(100)]
    assert "different" not in verdicts


@pytest.mark.parametrize("size", [2 * MARGIN, 0.5])
def test_a_change_in_one_block_is_found(mean, size):
    rng = np.random.default_rng(4)
    changed = mean.copy()
    direction = rng.normal(size=M)
    changed[1, 2] += size * np.linalg.norm(mean[1, 2]) * direction / np.linalg.norm(direction)
    assert compare(replicates(rng, mean, 4000), replicates(rng, changed, 4000)).verdict == "different"


def test_a_scale_that_differs_between_scenarios_is_found(mean):
    rng = np.random.default_rng(5)
    scaled = mean * np.array([1.0, 1.2, 1.0])[:, None, None]
    assert compare(replicates(rng, mean, 4000), replicates(rng, scaled, 4000)).verdict == "different"


def test_the_opposite_sign_is_different(mean):
    rng = np.random.default_rng(6)
    assert compare(replicates(rng, mean, 500), replicates(rng, -mean, 500)).verdict == "different"


def test_few_samples_decide_nothing(mean):
    rng = np.random.default_rng(7)
    assert compare(replicates(rng, mean, 16, 3.0), replicates(rng, mean, 16, 3.0)).verdict == "undecided"
