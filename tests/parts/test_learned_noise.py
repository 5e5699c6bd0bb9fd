"""Chains whose noise is learned, by hand-worked numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.errors import UserError
from flowrl_kb.parts import likelihood, networks, path
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models

GRID = jnp.array([1.0, 0.5, 0.0])


def noisy(velocity, std):
    """A field with one velocity everywhere, whose deviation is `std` at t = 1 and half of it at t = 0.5."""
    net = lambda x, t, s: jnp.full_like(x, velocity)  # noqa: E731
    noise = lambda x, t, s: jnp.broadcast_to(std * t[..., None], x.shape)  # noqa: E731
    return Field(net, path.linear(), GRID, 2, "velocity", "learned-noise", noise=noise)


def test_the_noise_is_the_policys_and_leaves_the_mean_alone():
    # from 1 at t = 0.5 with velocity 2: 1 - 0.5 * 2, deviation 0.4 * 0.5
    mean, std = noisy(2.0, 0.4).step(jnp.ones((1, 2)), 1, jnp.zeros((1, 1)))
    np.testing.assert_allclose([mean[0, 0], std[0, 0]], [0.0, 0.2], atol=1e-6)


def test_the_ratio_adds_the_steps_and_reads_the_noise():
    # all steps stay at zero; new mean -0.5 v = -0.1; deviations 0.4, 0.2 against 0.8, 0.4
    chain = jnp.zeros((3, 1, 2))
    models = Models(actor=noisy(0.2, 0.4), old=noisy(0.0, 0.8))
    found = likelihood.chain_sum(models, Batch(s=jnp.zeros((1, 1)), a=chain[-1], chain=chain))
    want = 2 * (-0.5 * (0.1 / 0.4) ** 2 - 0.5 * (0.1 / 0.2) ** 2 + 2 * np.log(2.0))
    np.testing.assert_allclose(found, [[want]], rtol=1e-5)


def test_the_entropy_rate_counts_the_start():
    # H[N(0, 1)] + H[N(0, 0.4^2)] + H[N(0, 0.2^2)] for each dimension, over three variables
    found = likelihood.entropy_rate(noisy(0.2, 0.4), jnp.zeros((3, 5, 2)), jnp.zeros((5, 1)))
    want = 0.5 * np.log(2 * np.pi * np.e) + (np.log(0.4) + np.log(0.2)) / 3
    np.testing.assert_allclose(found, np.full(5, want), rtol=1e-5)


def test_a_field_without_learned_noise_says_so():
    field = Field(lambda x, t, s: x, path.linear(), GRID, 2, "velocity", "learned-noise")
    with pytest.raises(UserError, match="without learned noise"):
        field.step(jnp.ones((1, 2)), 0, jnp.zeros((1, 1)))


def test_the_network_stays_between_its_bounds_and_is_trained():
    shape = networks.Shape(1, 2, (8,), path=path.linear(), grid=GRID, sampler="learned-noise", min_std=0.1, max_std=0.3)
    params = networks.build("noisy-field", shape, jax.random.key(0))
    x, s, t = jax.random.normal(jax.random.key(1), (64, 2)), jnp.zeros((64, 1)), jnp.full(64, 0.5)

    def std(scale):
        scaled = jax.tree.map(lambda leaf: scale * leaf, params)
        return networks.bind("noisy-field", scaled, shape).noise(x, t, s)

    np.testing.assert_allclose(std(0.0), np.sqrt(0.1 * 0.3), rtol=1e-5)  # the middle, on a logarithmic scale
    wide = std(50.0)
    assert 0.1 - 1e-6 <= wide.min() < 0.11 and 0.29 < wide.max() <= 0.3 + 1e-6
    assert jnp.any(jax.grad(lambda c: jnp.sum(std(c)))(1.0) != 0.0)
