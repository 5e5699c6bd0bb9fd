"""TD3+BC: A Minimalist Approach to Offline Reinforcement Learning, Fujimoto and Gu 2021
(arXiv 2106.06860)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "deterministic", "critic": "critic"}


def actor_loss(models, batch, key, *, q_weight):
    """Deterministic policy gradient of a normalised Q with a squared cloning error.

    L = E |pi(s) - a|^2 / d - lambda E Q_1(s, pi(s)), lambda = alpha / sg E|Q_1(s, pi(s))|. q_weight = alpha.
    Source: eq. 3 and 5; official TD3_BC.py.
    """
    a = models.actor.mean(batch.s)
    q = models.critic(batch.s, a)[0]
    scale = q_weight / jax.lax.stop_gradient(jnp.mean(jnp.abs(q)))
    cloning = jnp.mean((a - batch.a) ** 2)
    return cloning - scale * jnp.mean(q), {"cloning": cloning, "scale": scale}


def critic_loss(models, batch, key, *, discount, backup_noise_std, backup_noise_clip, box=None):
    """TD3's clipped double-Q regression with target policy smoothing.

    a' = clip(pi'(s') + clip(xi, -c, c)), xi ~ N(0, varsigma^2); the target is r + gamma min_i Qbar_i(s', a').
    backup_noise_std = varsigma, backup_noise_clip = c. Source: TD3 (1802.09477), Algorithm 1; official TD3_BC.py.
    """
    limit = backup_noise_clip / backup_noise_std
    smoothing = backup_noise_std * jnp.clip(jax.random.normal(key, batch.a.shape), -limit, limit)
    next_a = models.target_actor.mean(batch.next_s) + smoothing
    if box is not None:
        next_a = jnp.clip(next_a, -box, box)
    next_q = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    return jnp.sum(jnp.mean((models.critic(batch.s, batch.a) - target) ** 2, axis=-1)), {}


def act(models, s, key):
    """The policy's action, without noise."""
    return models.actor.mean(s)
