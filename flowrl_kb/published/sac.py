"""SAC: Soft Actor-Critic Algorithms and Applications, Haarnoja et al. 2018 (arXiv 1812.05905)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "critic": "critic", "log_temperature": "scalar"}


def actor_loss(models, batch, key):
    """J_pi = E[alpha log pi(f(xi; s) | s) - min_i Q_i(s, f(xi; s))], f the reparameterised action. Source: eq. 9.

    alpha = exp(models.log_temperature), a constant here; batch.s (B, ds).
    """
    a, log_pi = models.actor.sample_with_log_prob(key, batch.s)
    alpha = jax.lax.stop_gradient(jnp.exp(models.log_temperature))
    q_1, q_2 = models.critic(batch.s, a)
    return jnp.mean(alpha * log_pi - jnp.minimum(q_1, q_2)), {"entropy": -jnp.mean(log_pi)}


def critic_loss(models, batch, key, *, discount):
    """J_Q = E (Q_i(s, a) - r - gamma (min_j Qbar_j(s', a') - alpha log pi(a'|s')))^2 / 2, summed over i.

    Source: eq. 5; the minimum of section 6.
    """
    next_a, next_log_pi = models.actor.sample_with_log_prob(key, batch.next_s)
    q_1, q_2 = models.target_critic(batch.next_s, next_a)
    soft_value = jnp.minimum(q_1, q_2) - jnp.exp(models.log_temperature) * next_log_pi
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * soft_value)
    return sum(0.5 * jnp.mean((q - target) ** 2) for q in models.critic(batch.s, batch.a)), {}


def log_temperature_loss(models, batch, key, *, target_entropy):
    """J(alpha) = E[-alpha log pi(a|s) - alpha Hbar], Hbar = d target_entropy. Source: eq. 18; stepped in log alpha."""
    _, log_pi = models.actor.sample_with_log_prob(key, batch.s)
    wanted = models.actor.dim * target_entropy
    alpha = jnp.exp(models.log_temperature)
    return jnp.mean(-alpha * jax.lax.stop_gradient(log_pi) - alpha * wanted), {"alpha": alpha}


def act(models, s, key):
    """One sample of the policy."""
    return models.actor.sample(key, s)
