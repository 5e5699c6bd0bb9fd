"""TD3 in typoverflow/flow-rl (bae22f4), flowrl/agent/online/td3.py: the actor ascends the mean of the critics."""

import jax.numpy as jnp

from flowrl_kb.published.td3 import act as act
from flowrl_kb.published.td3 import critic_loss as critic_loss

TRAINS = {"actor": "deterministic", "critic": "critic"}


def actor_loss(models, batch, key, *, box=None):
    """Deterministic policy gradient of the mean of the critics: L = -E mean_i Q_i(s, pi(s)).

    Source: update_actor. batch.s (B, ds) are replayed states. The source's actor ends in a hyperbolic tangent, so that
    its actions lie in the box.
    """
    a = models.actor.mean(batch.s)
    a = a if box is None else jnp.clip(a, -box, box)
    return -jnp.mean(models.critic(batch.s, a)), {}
