"""The stochastic sampler of the straight path, and the pull along its chain, by hand and against known laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import path, step
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models

MEAN, STD = 0.3, 0.5


def gaussian(noise_level, steps, kind="flow-sde", top=0.98):
    """The exact velocity of N(MEAN, STD^2) on the straight path."""

    def velocity(x, t, s):
        alpha, sigma = 1.0 - t[..., None], t[..., None]
        eps = sigma * (x - alpha * MEAN) / ((alpha * STD) ** 2 + sigma**2)
        return eps - (x - sigma * eps) / alpha

    grid = jnp.linspace(top, 0.0, steps + 1)
    return Field(velocity, path.linear(), grid, 1, "velocity", kind, noise_level=noise_level)


def constant(velocity, grid, noise_level):
    net = lambda x, t, s: jnp.full_like(x, velocity)  # noqa: E731
    return Field(net, path.linear(), jnp.array(grid), 1, "velocity", "flow-sde", noise_level=noise_level)


def test_a_step_by_hand():
    # t = 0.8, u = 0.6, a = 0.5: g^2 = 0.25 * 4 = 1; v = 2, x = 1: eps = 1 + 0.2 * 2 = 1.4, score = -1.75
    mean, std = constant(2.0, [0.8, 0.6], 0.5).step(jnp.ones(1), 0, jnp.zeros(1))
    np.testing.assert_allclose(mean, 1.0 - 0.2 * 2.0 - 0.5 * 0.2 * 1.75, rtol=1e-5)
    np.testing.assert_allclose(std, np.sqrt(0.2), rtol=1e-5)


def test_pure_noise_takes_its_signal_from_the_next_level():
    # t = 1, u = 0.8: g^2 = 1 / 0.2 = 5, variance 1; at t = 1 the noise is x itself
    mean, std = constant(2.0, [1.0, 0.8], 1.0).step(jnp.ones(1), 0, jnp.zeros(1))
    np.testing.assert_allclose(mean, 1.0 - 0.2 * 2.0 - 0.5, rtol=1e-5)
    np.testing.assert_allclose(std, 1.0, rtol=1e-5)


@pytest.mark.parametrize("noise_level", [0.0, 0.7, 1.2])
def test_any_noise_keeps_the_law(noise_level):
    a = gaussian(noise_level, 400).sample(jax.random.key(0), jnp.zeros((20_000, 1)))
    np.testing.assert_allclose([jnp.mean(a), jnp.std(a)], [MEAN, STD], atol=0.02)


def test_without_the_score_the_law_is_wider():
    field = gaussian(0.7, 400)

    def euler_with_noise(x, k, s):
        t = jnp.broadcast_to(field.grid[k], x.shape[:-1])
        h = field.grid[k] - field.grid[k + 1]
        return x - h * field.velocity(x, t, s), field.step(x, k, s)[1]

    def advance(x, k):
        mean, std = euler_with_noise(x, k, jnp.zeros((20_000, 1)))
        return mean + std * jax.random.normal(jax.random.fold_in(jax.random.key(1), k), x.shape), None

    x, _ = jax.lax.scan(advance, jax.random.normal(jax.random.key(2), (20_000, 1)), jnp.arange(400))
    assert jnp.std(x) > STD + 0.05


@pytest.mark.parametrize("reduction, share", [("sum", 1.0), ("mean", 0.5)])
def test_the_pull_is_the_closed_form_of_the_step_divergence(reduction, share):
    """beta dt / 2 (g (1 - t) / 2t + 1 / g)^2 |v - v_ref|^2 over two steps, for velocities (1, 1) and (0, 3)."""

    def of(velocity):
        net = lambda x, t, s: jnp.broadcast_to(jnp.array(velocity), x.shape)  # noqa: E731
        return Field(net, path.linear(), grid, 2, "velocity", "flow-sde", noise_level=0.7)

    grid, chain = jnp.array([0.9, 0.5, 0.0]), jax.random.normal(jax.random.key(0), (3, 4, 2))
    models = Models(actor=of([1.0, 1.0]), behaviour=of([0.0, 3.0]))
    batch = Batch(s=jnp.zeros((4, 1)), a=chain[-1], chain=chain)
    t, dt = np.array([0.9, 0.5]), np.array([0.4, 0.5])
    g = 0.7 * np.sqrt(t / (1 - t))
    want = np.mean(0.3 * dt / 2 * (g * (1 - t) / (2 * t) + 1 / g) ** 2 * 5.0 * share)
    found = step.pull_along_chain(models, batch, anchor_weight=0.3, log_prob_reduction=reduction)
    np.testing.assert_allclose(found, want, rtol=1e-4)
