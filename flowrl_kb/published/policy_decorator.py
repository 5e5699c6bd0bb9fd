"""Policy Decorator: Model-Agnostic Online Refinement for Large Policy Model, Yuan et al. 2024 (arXiv 2412.13630).

Base actions are drawn afresh from `models.behaviour`; the official code stores them beside the transition, where they
have the same law, because the base policy reads the state alone.
"""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "critic": "critic", "log_temperature": "scalar"}


def decorated(models, s, key, steering_scale):
    """a = b + kappa r with b of the base policy, r of the residual policy and kappa = steering_scale; and log pi(r|s).

    s (B, ds) to (B, d) and (B,).
    """
    k_base, k_residual = jax.random.split(key)
    base = models.behaviour.sample(k_base, s)
    residual, log_pi = models.actor.sample_with_log_prob(k_residual, s)
    return base + steering_scale * residual, log_pi


def actor_loss(models, batch, key, *, steering_scale):
    """E[alpha log pi(r|s) - min_i Q_i(s, b + kappa r)]. Source: official pi_dec_diffusion_maniskill2.py, actor_loss.

    alpha = exp(models.log_temperature) is a constant here; batch.s (B, ds).
    """
    a, log_pi = decorated(models, batch.s, key, steering_scale)
    q_1, q_2 = models.critic(batch.s, a)
    alpha = jax.lax.stop_gradient(jnp.exp(models.log_temperature))
    return jnp.mean(alpha * log_pi - jnp.minimum(q_1, q_2)), {"entropy": -jnp.mean(log_pi)}


def critic_loss(models, batch, key, *, discount, steering_scale):
    """Sum_i E (Q_i(s, a) - R - gamma (min_j Qbar_j(s', b' + kappa r') - alpha log pi(r'|s')))^2.

    Source: official pi_dec_diffusion_maniskill2.py, qf_loss with critic_input sum.
    """
    a, log_pi = decorated(models, batch.next_s, key, steering_scale)
    q_1, q_2 = models.target_critic(batch.next_s, a)
    v = jnp.minimum(q_1, q_2) - jnp.exp(models.log_temperature) * log_pi
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * v)
    return sum(jnp.mean((q - target) ** 2) for q in models.critic(batch.s, batch.a)), {}


def log_temperature_loss(models, batch, key, *, target_entropy):
    """-log alpha E[log pi(r|s) + H], H = d target_entropy. Source: official, sac_alpha_loss."""
    _, log_pi = models.actor.sample_with_log_prob(key, batch.s)
    return jnp.mean(-models.log_temperature * (jax.lax.stop_gradient(log_pi) + models.actor.dim * target_entropy)), {}


def act(models, s, key, *, steering_scale):
    """b + kappa r, both sampled, as in the official roll-out once all corrections are used."""
    return decorated(models, s, key, steering_scale)[0]


generate = act
