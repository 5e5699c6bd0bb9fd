"""The signed regression by hand, and its published two-branch form against the completed square."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import direction, intermediate_value, loss_space, operator, reference
from flowrl_kb.parts.bound import Parts
from flowrl_kb.parts.path import linear
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.route import regression_signed
from flowrl_kb.parts.space import denoising_error
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import diffusion_nft


def field(velocity):
    """A field on the straight path whose velocity is the same everywhere."""
    grid = jnp.array([1.0, 0.0])
    return Field(lambda x, t, s: jnp.broadcast_to(velocity, x.shape), linear(0.2, 0.8), grid, 2, "velocity")


def test_an_advantage_is_cut_and_divided_by_its_bound():
    found = intermediate_value.mean(jnp.array([-5.0, -1.0, 0.5, 3.0]), advantage_max=2.0)
    np.testing.assert_allclose(found, [-1.0, -0.5, 0.25, 1.0])


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_two_branches_are_one_regression(temperature):
    """Gradients in a constant velocity v, both by formula: beta^2 2 (v - v_old - (2 r - 1) / beta (u - v_old))."""
    old, key = jnp.array([0.3, -0.2]), jax.random.key(0)
    a = jax.random.normal(key, (4, 2))
    batch = Batch(s=jnp.zeros((4, 1)), a=a, advantage=jnp.array([-3.0, -0.5, 0.4, 2.0]))
    share, v = jnp.array([-1.0, -0.5, 0.4, 1.0]), jnp.array([0.7, 0.1])
    parts = Parts(
        operator.exponential(temperature=temperature),
        reference.previous(),
        direction=direction.forward,
        error=lambda actor, draws, s: denoising_error(actor, draws, s, loss_space.velocity),
        intermediate_value=lambda advantage: intermediate_value.mean(advantage, advantage_max=1.0),
    )

    def composed(v):
        return regression_signed(Models(actor=field(v), old=field(old)), batch, key, parts)[0]

    def published(v):
        models = Models(actor=field(v), old=field(old))
        return diffusion_nft.actor_loss(models, batch, key, temperature=temperature, advantage_max=1.0)[0]

    def expected(eps):
        u = eps - a
        gap = v - old - share[:, None] / temperature * (u - old)
        return jnp.mean(2.0 * gap, axis=0)

    noise = jax.random.normal(jax.random.split(key)[1], (1, 4, 2))[0]
    np.testing.assert_allclose(jax.grad(published)(v), temperature**2 * expected(noise), rtol=1e-4)
    np.testing.assert_allclose(jax.grad(composed)(v), expected(noise), rtol=2e-3, atol=1e-3)
