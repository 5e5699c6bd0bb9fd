"""EQL: Offline RL with No OOD Actions: In-Sample Learning via Implicit Value Regularization, Xu et al. 2023
(arXiv 2303.15810), exponential Q-learning, its form for the reverse KL penalty."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "critic": "critic", "value": "value"}


def actor_loss(models, batch, key, *, temperature, weight_clip):
    """Log-likelihood of the data's actions, weighted by their ratio to the data law in the penalised optimum.

    L = -E min(exp((min_i Qbar_i(s, a) - V(s)) / alpha), w_max) log pi(a|s), alpha = temperature.
    Source: policy objective of EQL; the cut is that of official actor.py. batch.a (B, d) are data actions.
    """
    q = jnp.min(models.target_critic(batch.s, batch.a), axis=0)
    ratio = jnp.exp((q - models.value(batch.s)) / temperature)
    w = jax.lax.stop_gradient(jnp.where(ratio > weight_clip, weight_clip, ratio))
    return jnp.mean(w * -models.actor.log_prob(batch.s, batch.a)), {"cut": jnp.mean(ratio > weight_clip)}


def value_loss(models, batch, key, *, temperature):
    """E exp((min_i Qbar_i(s, a) - V(s)) / alpha) + V(s) / alpha, alpha = temperature.

    Source: official critic.py, update_v, without its cut at exp(5) and its batch-wise factor exp(-m).
    """
    v = models.value(batch.s)
    q = jnp.min(models.target_critic(batch.s, batch.a), axis=0)
    return jnp.mean(jnp.exp((q - v) / temperature)) + jnp.mean(v) / temperature, {"v": jnp.mean(v)}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma V(s'). Source: official critic.py, update_q."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    return jnp.mean(jnp.sum((models.critic(batch.s, batch.a) - target) ** 2, axis=0)), {}


def act(models, s, key):
    """The mean of the policy. Source: official evaluation.py, sampling temperature zero."""
    return models.actor.mean(s)
