"""EDP with max_q_backup in sail-sg/edp (b019648), diffusion/dql.py."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.edp import TRAINS as TRAINS
from flowrl_kb.published.edp import act as act
from flowrl_kb.published.edp import actor_loss as actor_loss


def critic_loss(models, batch, key, *, discount, backup_of, box=None):
    """Both heads regressed on r + gamma min_i max_k Qbar_i(s', a'_k), a'_1..N clipped actions of the averaged actor.

    N = backup_of. Source: get_value_loss, branch max_q_backup, where each head is ranked by itself.
    """
    next_a = models.target_actor.sample(key, batch.next_s, (backup_of,))
    if box is not None:
        next_a = jnp.clip(next_a, -box, box)
    next_q = models.target_critic(jnp.broadcast_to(batch.next_s, (backup_of, *batch.next_s.shape)), next_a)
    best = jnp.min(jnp.max(next_q, axis=1), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * best)
    first, second = models.critic(batch.s, batch.a)
    return jnp.mean((first - target) ** 2) + jnp.mean((second - target) ** 2), {"target": jnp.mean(target)}
