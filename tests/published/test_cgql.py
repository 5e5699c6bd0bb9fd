"""CGQL: one guided step and one Bellman error by hand; without guidance the flow reaches the data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts.path import linear
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import cgql

S = jnp.zeros((4, 1))
KEY = jax.random.key(0)


def models(grid, velocity) -> Models:
    flow = Field(velocity, linear(), jnp.array(grid), 1, "velocity", "ode")
    heads = lambda s, a: jnp.stack([2.0 * a[..., 0], 4.0 * a[..., 0]])  # noqa: E731
    return Models(actor=None, target_actor=flow, critic=heads, target_critic=heads)


def test_one_guided_step():
    # one step of half a unit from tau = 1/2, v_theta = 1, grad Q / temperature = 6: x + (1 + w (x + 3) / (1 / 2)) / 2
    shown = models([0.5, 0.0], lambda x, t, s: -jnp.ones_like(x))
    z = np.asarray(jax.random.normal(KEY, (4, 1)))
    a = cgql.act(shown, S, KEY, temperature=0.5, guidance_weight=0.1)
    np.testing.assert_allclose(a, z + 0.5 + 0.1 * (z + 3.0), rtol=1e-5)
    boxed = cgql.act(shown, S, KEY, temperature=0.5, guidance_weight=0.1, box=0.3)
    assert float(jnp.max(jnp.abs(boxed))) == pytest.approx(0.3)


def test_the_critic_values_the_guided_action():
    # all next actions are at the box, 2, where the heads 4 and 8 have mean 6 and deviation 2: 1 + .9 (6 - .5 2) = 5.5
    shown = models([0.5, 0.0], lambda x, t, s: -100.0 * jnp.ones_like(x))
    batch = Batch(S, S, reward=jnp.ones(4), next_s=S, not_done=jnp.ones(4))
    numbers = {"discount": 0.9, "pessimism": 0.5, "temperature": 0.5, "guidance_weight": 0.1, "box": 2.0}
    assert float(cgql.critic_loss(shown, batch, KEY, **numbers)[0]) == pytest.approx(5.5**2)


def test_without_guidance_the_flow_reaches_the_data():
    # the straight path to N(1, 1/4): velocity E[eps - a | x]
    def velocity(x, t, s):
        alpha, variance = 1.0 - t[..., None], (1.0 - t[..., None]) ** 2 / 4.0 + t[..., None] ** 2
        return (t[..., None] - alpha / 4.0) / variance * (x - alpha) - 1.0

    shown = models(jnp.linspace(0.99, 0.0, 101), velocity)
    a = cgql.act(shown, jnp.zeros((4000, 1)), KEY, temperature=1.0, guidance_weight=0.0)
    assert float(a.mean()) == pytest.approx(1.0, abs=0.03) and float(a.std()) == pytest.approx(0.5, abs=0.03)
