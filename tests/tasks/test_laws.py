"""Exact laws against closed forms and Monte Carlo; distances against known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.tasks import bandits, laws


def _plain(d=1, mean=0.3, std=0.4):
    """One Gaussian and no bumps: reward -|a|^2 / 2, so that every tilt is Gaussian in closed form."""
    zero = jnp.zeros((1, d))
    return bandits.Bandit("plain", zero + mean, jnp.ones(1), std, zero, jnp.zeros(1), 1.0)


def _moments(law):
    mean = law.mean(law.grid.points[:, 0])
    return float(mean), float(law.mean((law.grid.points[:, 0] - mean) ** 2))


@pytest.mark.parametrize("temperature", [0.05, 0.2])
def test_boltzmann_of_a_parabola_is_gaussian(temperature):
    law = laws.boltzmann(_plain(), temperature=temperature)
    mean, variance = _moments(law)
    assert mean == pytest.approx(0.0, abs=1e-5)
    assert variance == pytest.approx(temperature, rel=1e-3)
    # the normaliser: density at zero is (2 pi lambda)^(-1/2)
    peak = float(law.density.max())
    assert peak == pytest.approx((2 * np.pi * temperature) ** -0.5, rel=1e-4)


def test_two_dimensional_normaliser():
    law = laws.boltzmann(_plain(d=2), temperature=0.1)
    assert float(law.density.max()) == pytest.approx(1 / (2 * np.pi * 0.1), rel=1e-3)


def test_tilt_of_a_gaussian_is_a_product_of_gaussians():
    mean, std, temperature = 0.3, 0.4, 0.2
    found = _moments(laws.tilt(_plain(), temperature=temperature))
    precision = 1 / std**2 + 1 / temperature
    assert found == pytest.approx((mean / std**2 / precision, 1 / precision), rel=1e-3)


def test_best_of_one_is_the_behaviour_and_more_is_monte_carlo():
    task = bandits.get("two-modes-1d")
    np.testing.assert_allclose(laws.best_of_n(task, best_of=1).mass, laws.behaviour(task).mass, atol=2e-6)
    a = bandits.sample(task, jax.random.key(0), (8, 200_000))
    best = jnp.max(bandits.reward(task, a), axis=0).mean()
    law = laws.best_of_n(task, best_of=8)
    expected = law.mean(bandits.reward(task, law.grid.points))
    assert float(best) == pytest.approx(float(expected), abs=2e-3)


def test_reciprocal_solves_its_own_equation():
    """nu lambda / (c - r) with one c: the ratio mass / nu is affine in r when inverted, and expected values agree."""
    task, temperature = bandits.get("8gaussians"), 0.3
    law, nu = laws.reciprocal(task, temperature=temperature), laws.behaviour(task)
    r = bandits.reward(task, law.grid.points)
    heavy = nu.mass > 1e-7
    slope, c = np.polyfit(np.asarray(-r[heavy]), np.asarray(temperature * nu.mass[heavy] / law.mass[heavy]), 1)
    assert slope == pytest.approx(1.0, abs=1e-3)
    assert c > float(r[heavy].max())
    assert float(law.mass.sum()) == pytest.approx(1.0, abs=1e-5)


def test_linear_weights_have_the_mean_as_constant_where_nothing_is_cut():
    task = bandits.get("unequal-1d")
    law, nu = laws.linear(task, temperature=5.0), laws.behaviour(task)
    r = bandits.reward(task, nu.grid.points)
    # nothing is cut at this temperature wherever there is mass, so the gain is Var(r) / lambda
    gain = law.mean(r) - nu.mean(r)
    assert float(gain) == pytest.approx(float(nu.mean((r - nu.mean(r)) ** 2) / 5.0), rel=1e-3)


def test_linear_weights_that_are_cut_average_one_without_being_rescaled():
    task = bandits.get("unequal-1d")
    law, nu = laws.linear(task, temperature=0.1), laws.behaviour(task)
    r = np.asarray(bandits.reward(task, nu.grid.points))
    heavy = np.asarray(nu.mass) > 1e-6
    weight = np.asarray(law.mass)[heavy] / np.asarray(nu.mass)[heavy]
    assert (weight == 0.0).any()
    slope = np.polyfit(r[heavy][weight > 0], weight[weight > 0], 1)[0]
    assert slope == pytest.approx(1 / 0.1, rel=1e-3)


def test_samples_of_a_law_have_its_moments():
    law = laws.boltzmann(bandits.get("unequal-1d"), temperature=0.2)
    x = laws.sample(law, jax.random.key(0), 100_000)[:, 0]
    mean, variance = _moments(law)
    assert float(x.mean()) == pytest.approx(mean, abs=0.01)
    assert float(x.var()) == pytest.approx(variance, rel=0.02)


def test_energy_distance_against_its_closed_form():
    """Two atoms at distance c, half and half: 2 * 0 - ... is known exactly for point masses: 2 c - 0 - 0."""
    assert float(laws.energy_distance(jnp.zeros((50, 1)), jnp.full((70, 1), 1.5))) == pytest.approx(3.0, rel=1e-6)
    k_x, k_y = jax.random.split(jax.random.key(0))
    x, y = jax.random.normal(k_x, (3000, 1)), 1.0 + jax.random.normal(k_y, (3000, 1))
    # E|N(m, 2)| = 2 sqrt(1/pi) exp(-m^2/4) + m (2 Phi(m / sqrt 2) - 1)
    m = 1.0
    cross = 2 / np.sqrt(np.pi) * np.exp(-(m**2) / 4) + m * (2 * 0.7602499389065233 - 1)
    assert float(laws.energy_distance(x, y)) == pytest.approx(2 * cross - 4 / np.sqrt(np.pi), abs=0.05)


def test_energy_distance_is_unbiased():
    keys = jax.random.split(jax.random.key(1), (200, 2))
    found = jax.vmap(
        lambda k: laws.energy_distance(jax.random.normal(k[0], (30, 2)), jax.random.normal(k[1], (30, 2)))
    )(keys)
    assert abs(float(found.mean())) < 4 * float(found.std()) / 200**0.5


def test_predict_needs_what_the_law_needs():
    task = bandits.get("two-modes-1d")
    assert laws.predict("boltzmann", task, {"temperature": 0.2}) is not None
    assert laws.predict("boltzmann", task, {}) is None
    assert laws.predict(None, task, {}) is None


def test_sliced_distance_and_total_variation_see_a_shift():
    law = laws.behaviour(bandits.get("two-modes-1d"))
    x = laws.sample(law, jax.random.key(0), 5000)
    again = laws.sample(law, jax.random.key(1), 5000)
    assert float(laws.sliced_w1(x, again + 0.3, jax.random.key(2))) == pytest.approx(0.3, abs=0.05)
    assert float(laws.total_variation(law, x)) < 0.06 < float(laws.total_variation(law, x + 0.3))
