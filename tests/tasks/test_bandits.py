"""Bandits: the exact denoiser against independent routes, rewards against finite differences, names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import tasks
from flowrl_kb.errors import UserError
from flowrl_kb.parts import path as paths
from flowrl_kb.tasks import bandits, laws


@pytest.mark.parametrize("name", ["8gaussians", "unequal-1d"])
@pytest.mark.parametrize("alpha, sigma", [(0.9, 0.3), (0.4, 0.9), (1.0, 2.0)])
def test_denoiser_satisfies_tweedie(name, alpha, sigma):
    """x + sigma^2 grad log p(x) = alpha E[a | x], with the gradient from automatic differentiation of the density."""
    task = bandits.get(name)
    x = jax.random.normal(jax.random.key(0), (50, task.d))
    gradient = jax.vmap(jax.grad(lambda y: bandits.log_density(task, y, alpha, sigma)))(x)
    denoised = bandits.denoised(task, x, jnp.asarray(alpha), jnp.asarray(sigma))
    np.testing.assert_allclose(alpha * denoised, x + sigma**2 * gradient, rtol=2e-4, atol=2e-4)


def test_denoiser_is_the_posterior_mean_by_quadrature():
    task, alpha, sigma = bandits.get("two-modes-1d"), 0.6, 0.5
    law = laws.behaviour(task)
    for x in (-1.0, 0.1, 0.8):
        weight = law.mass * jnp.exp(-0.5 * ((x - alpha * law.grid.points[:, 0]) / sigma) ** 2)
        expected = jnp.sum(weight * law.grid.points[:, 0]) / jnp.sum(weight)
        found = bandits.denoised(task, jnp.array([x]), jnp.asarray(alpha), jnp.asarray(sigma))[0]
        assert found == pytest.approx(float(expected), abs=1e-4)


def test_levels_broadcast_over_points():
    task, path = bandits.get("moons"), paths.vp()
    x, t = jax.random.normal(jax.random.key(1), (3, 5, 2)), jnp.linspace(0.1, 0.9, 5)
    together = bandits.denoised(task, x, path.alpha(t), path.sigma(t))
    alone = bandits.denoised(task, x[2, 4], path.alpha(t[4]), path.sigma(t[4]))
    np.testing.assert_allclose(together[2, 4], alone, rtol=1e-5)


@pytest.mark.parametrize("name", bandits.NAMES)
def test_densities_integrate_to_one_and_rewards_are_moderate(name):
    task = bandits.get(name)
    grid = laws.grid(task.d)
    total = jnp.sum(jnp.exp(bandits.log_density(task, grid.points))) * grid.spacing**task.d
    assert float(total) == pytest.approx(1.0, abs=1e-4)
    best = bandits.reward(task, grid.points).max()
    assert 0.4 < float(best) < 1.2


def test_exact_field_samples_the_behaviour():
    task, grid = bandits.get("8gaussians"), jnp.linspace(0.98, 0.0, 41)
    field = bandits.behaviour(task, paths.vp(), grid)
    a = field.sample(jax.random.key(0), bandits.states((2000,)))
    data = bandits.sample(task, jax.random.key(1), (2000,))
    shifted = data + 0.05
    assert float(laws.energy_distance(a, data)) < 0.002 < float(laws.energy_distance(shifted, data))


def test_unknown_tasks_name_the_nearest():
    with pytest.raises(UserError, match="did you mean bandit/8gaussians"):
        tasks.get("bandit/8gaussian")
    with pytest.raises(UserError, match="did you mean bandit/moons"):
        tasks.get("moons")
    with pytest.raises(UserError, match="unknown task suite 'bandits'"):
        tasks.get("bandits/moons")
    with pytest.raises(UserError):
        tasks.get("")
