"""DTQL on AntMaze in the official code (9a29cea), agents/dtql.py with gamma = 1: data actions stay likely."""

from functools import reduce

import jax
import jax.numpy as jnp

from flowrl_kb.published.dtql import act, behaviour_loss, critic_loss, denoising_loss, value_loss

__all__ = ["TRAINS", "act", "actor_loss", "behaviour_loss", "critic_loss", "value_loss"]

TRAINS = {"actor": "gaussian", "behaviour": "field", "critic": "critic", "value": "value"}


def actor_loss(models, batch, key, *, bc_weight, likelihood_weight):
    """Q under two penalties: the frozen denoiser's error at the policy's actions, and the policy's at the data's.

    L = alpha L_TR(a_theta) - E min_j Q_j(s, a_theta) - gamma E log pi_theta(a|s), a (B, d) data actions, L_TR and its
    gradients as in dtql.py, log pi summed over dimensions. bc_weight = alpha, likelihood_weight = gamma. Source:
    agents/dtql.py, train; the source's density is that before the hyperbolic tangent, whose gradient is the same.
    """
    k_action, k_loss = jax.random.split(key)
    a = models.actor.sample(k_action, batch.s)
    trust, likely = denoising_loss(models.behaviour, a, batch.s, k_loss), models.actor.log_prob(batch.s, batch.a)
    q = reduce(jnp.minimum, models.critic(batch.s, a))
    return jnp.mean(-q - likelihood_weight * likely) + bc_weight * trust, {"trust": trust, "likely": jnp.mean(likely)}
