"""The clipped value loss, part and published, by hand-computed numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts.critic import advantage
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import dppo_flow_rl, genpo_flow_rl, genpo_official, ppo_flow_rl

BEFORE = jnp.array([0.0, 0.0, 0.0, 1.0])
RETURNS = jnp.array([2.0, 2.0, -1.0, -1.0])
NOW = jnp.array([0.3, 1.0, 1.0, 0.0])
"""In turn: within the clip; beyond it towards the return; beyond it away from the return; beyond it below."""


def composed(models, batch, key, **hyper):
    return advantage(None, None, **hyper)["value"](models, batch, key)


@pytest.fixture(params=[composed, *(m.value_loss for m in (ppo_flow_rl, dppo_flow_rl, genpo_official, genpo_flow_rl))])
def loss(request):
    def of(values, **hyper):
        models = Models(value=lambda s: values, target_value=lambda s: BEFORE)
        batch = Batch(s=jnp.zeros((4, 1)), a=jnp.zeros((4, 1)), returns=RETURNS)
        return request.param(models, batch, jax.random.key(0), value_weight=2.0, **hyper)[0]

    return of


def test_the_larger_error_counts_and_a_step_towards_the_return_stops(loss):
    # clipped to 0.5: errors 1.7^2; max(1, 1.5^2); max(2^2, 1.5^2); clipped to 0.5 as well: max(1, 1.5^2)
    expected = [2.89, 2.25, 4.0, 2.25]
    np.testing.assert_allclose(loss(NOW, value_clip=0.5), 2.0 * np.mean(expected), rtol=1e-6)
    slope = jax.grad(loss)(NOW, value_clip=0.5)
    np.testing.assert_allclose(slope, 2.0 / 4.0 * 2.0 * np.array([-1.7, 0.0, 2.0, 0.0]), rtol=1e-6)


def test_a_wide_clip_is_the_plain_square(loss):
    np.testing.assert_allclose(loss(NOW, value_clip=10.0), 2.0 * np.mean((NOW - RETURNS) ** 2), rtol=1e-6)


def test_without_a_clip_the_value_at_the_roll_out_is_not_read():
    models = Models(value=lambda s: NOW)
    batch = Batch(s=jnp.zeros((4, 1)), a=jnp.zeros((4, 1)), returns=RETURNS)
    found = composed(models, batch, jax.random.key(0), value_weight=2.0)[0]
    np.testing.assert_allclose(found, 2.0 * np.mean((NOW - RETURNS) ** 2), rtol=1e-6)
