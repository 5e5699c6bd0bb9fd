"""The Huber loss of a Gaussian critic, part and published, by hand-computed numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import path
from flowrl_kb.parts.critic_output import gaussian_huber
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import dacer_flow_rl

HYPER = {"discount": 0.5, "spread_clip": 3.0, "spread_bias": 0.1, "spread_ratio": (0.1, 1.1)}
MEAN, SPREAD = jnp.array([1.2, 3.0]), jnp.array([0.5, 0.1])
"""Of the two heads. The target is 0.5 + 0.5 min(1, 2) = 1, and the head of that minimum has no spread there."""


def composed(models, batch, key, **hyper):
    backup = lambda models, batch, key: jnp.min(models.target_critic(batch.next_s, batch.a), axis=0)  # noqa: E731
    return gaussian_huber(models, batch, backup, key, **hyper)


def published(models, batch, key, **hyper):
    return dacer_flow_rl.critic_loss(models, batch, key, backup_noise_std=0.1, **hyper)


@pytest.mark.parametrize("loss", [composed, published])
@pytest.mark.parametrize(
    "width, of_mean, of_spread",
    [
        # weights .25 / (.25 + .1) and min(.25 / (.01 + .1), 1.1); the deviation of the second head, 2, is cut to 1.5
        (0.8, [0.25 / 0.35 * 0.2, 1.1 * 0.8], [0.25 / 0.35 * (0.25 - 0.02) / 0.6, 1.1 * (0.01 - 0.88) / 0.2]),
        (50.0, [0.25 / 0.35 * 0.2, 1.1 * 2.0], [0.25 / 0.35 * (0.25 - 0.02) / 0.6, 1.1 * (0.01 - 1.125) / 0.2]),
    ],
)
def test_slopes_by_hand(loss, width, of_mean, of_spread):
    heads = lambda values: lambda s, a: jnp.broadcast_to(values[:, None], (2, len(s)))  # noqa: E731
    here, ahead = jnp.array([[0.4], [0.6]]), jnp.array([[0.0], [5.0]])
    field = Field(lambda x, t, s: jnp.zeros_like(x), path.vp(), jnp.array([0.9, 0.5, 0.0]), 1)
    batch = Batch(jnp.zeros((4, 1)), jnp.zeros((4, 1)), jnp.full(4, 0.5), jnp.ones((4, 1)), jnp.ones(4))

    def of(mean, spread):
        models = Models(
            actor=field,
            critic=heads(mean),
            spread=heads(spread),
            target_critic=heads(jnp.array([1.0, 2.0])),
            target_spread=lambda s, a: jnp.where(s[:, 0] > 0.5, ahead, here),
            log_temperature=jnp.zeros(()),
        )
        return loss(models, batch, jax.random.key(0), huber_width=width, **HYPER)[0]

    found = jax.grad(of, argnums=(0, 1))(MEAN, SPREAD)
    np.testing.assert_allclose(found[0], of_mean, rtol=1e-5)
    np.testing.assert_allclose(found[1], of_spread, rtol=1e-5)
