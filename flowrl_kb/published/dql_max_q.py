"""Diffusion-QL in Zhendong-Wang/Diffusion-Policies-for-Offline-RL (d871f5c), agents/ql_diffusion.py, max_q_backup."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.dql import TRAINS as TRAINS
from flowrl_kb.published.dql import act as act
from flowrl_kb.published.dql import actor_loss as actor_loss
from flowrl_kb.published.dql import denoise


def critic_loss(models, batch, key, *, discount, backup_of):
    """Both heads regressed on r + gamma min_i max_k Qbar_i(s', a'_k), a'_1..N actions of the averaged actor.

    N = backup_of, 10 in the source: train, branch max_q_backup. Each head has its own best action.
    """
    next_s = jnp.broadcast_to(batch.next_s, (backup_of, *batch.next_s.shape))
    next_q = models.target_critic(next_s, denoise(models.target_actor, next_s, key))
    best = jnp.min(jnp.max(next_q, axis=1), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * best)
    return jnp.sum(jnp.mean((models.critic(batch.s, batch.a) - target) ** 2, axis=-1)), {"target": jnp.mean(target)}
