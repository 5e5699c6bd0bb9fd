"""Few-step acting of a flow whose exact field is known: one Euler step is the mean, two are worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import acting
from flowrl_kb.parts.path import linear
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Models
from flowrl_kb.published import fpmd

MEAN, VARIANCE = 0.7, 0.25
Z = jnp.array([[-1.5], [0.0], [2.0]])
S = jnp.zeros((3, 1))


def velocity(x, t, s):
    """E[eps - a | x] for a ~ N(MEAN, VARIANCE) on the straight path."""
    t = t[..., None]
    gain = (1.0 - t) * VARIANCE / ((1.0 - t) ** 2 * VARIANCE + t**2)
    rest = x - (1.0 - t) * MEAN
    return t * rest / ((1.0 - t) ** 2 * VARIANCE + t**2) - (MEAN + gain * rest)


FLOW = Field(velocity, linear(), jnp.linspace(1.0, 0.0, 5), 1, "velocity", "ode")


def test_one_step_from_pure_noise_is_the_mean_for_every_noise():
    np.testing.assert_allclose(acting.coarse(FLOW, 1).from_noise(Z, S), MEAN, atol=1e-6)
    a = acting.identity(Models(actor=FLOW), jnp.zeros((50, 1)), jax.random.key(0), acting_steps=1)
    np.testing.assert_allclose(a, MEAN, atol=1e-6)


def test_two_steps_by_hand():
    # x = (z + m) / 2 at t = 1/2, where the velocity is z (1 - c) / (1 + c) - m with c the variance
    want = MEAN + Z * VARIANCE / (1.0 + VARIANCE)
    np.testing.assert_allclose(acting.coarse(FLOW, 2).from_noise(Z, S), want, atol=1e-6)
    z = jax.random.normal(jax.random.key(1), (3, 1))
    a = fpmd.act(Models(actor=FLOW), S, jax.random.key(1), acting_steps=2)
    np.testing.assert_allclose(a, MEAN + z * VARIANCE / (1.0 + VARIANCE), atol=1e-6)


@pytest.mark.parametrize("steps", [None, 4, 20])
def test_more_steps_than_the_grid_has_leave_it(steps):
    np.testing.assert_array_equal(acting.coarse(FLOW, steps).grid, FLOW.grid)
