"""SQL: Offline RL with No OOD Actions: In-Sample Learning via Implicit Value Regularization, Xu et al. 2023
(arXiv 2303.15810), sparse Q-learning, its form for the chi-square penalty."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "critic": "critic", "value": "value"}


def actor_loss(models, batch, key, *, temperature, weight_clip):
    """Log-likelihood of the data's actions, weighted by their ratio to the data law in the penalised optimum.

    L = -E min((1 + (min_i Qbar_i(s, a) - V(s)) / (2 alpha))_+, w_max) log pi(a|s), alpha = temperature / 2.
    Source: policy objective of SQL; the cut is that of official actor.py. batch.a (B, d) are data actions.
    """
    alpha = temperature / 2.0
    q = jnp.min(models.target_critic(batch.s, batch.a), axis=0)
    ratio = 1.0 + (q - models.value(batch.s)) / (2.0 * alpha)
    w = jax.lax.stop_gradient(jnp.minimum(jnp.where(ratio > 0.0, ratio, 0.0), weight_clip))
    return -jnp.mean(w * models.actor.log_prob(batch.s, batch.a)), {"kept": jnp.mean(w > 0.0)}


def value_loss(models, batch, key, *, temperature):
    """E 1[delta > 0] delta^2 + V(s) / alpha, delta = 1 + (min_i Qbar_i(s, a) - V(s)) / (2 alpha).

    Source: official critic.py, update_v. alpha = temperature / 2.
    """
    alpha = temperature / 2.0
    v = models.value(batch.s)
    delta = (jnp.min(models.target_critic(batch.s, batch.a), axis=0) - v) / (2.0 * alpha) + 1.0
    return jnp.mean(jnp.where(delta > 0.0, delta**2, 0.0) + v / alpha), {"sparse": jnp.mean(delta <= 0.0)}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma V(s'). Source: official critic.py, update_q."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    first, second = models.critic(batch.s, batch.a)
    return jnp.mean((first - target) ** 2 + (second - target) ** 2), {}


def act(models, s, key):
    """The mean of the policy. Source: official evaluation.py, sampling temperature zero."""
    return models.actor.mean(s)
