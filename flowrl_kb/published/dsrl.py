"""DSRL: Steering Your Diffusion Policy with Latent Space Reinforcement Learning, Wagenmaker et al. 2025
(arXiv 2506.15799), in its noise-aliased form (DSRL-NA).

pi_dp(s, w), the frozen policy as a map from its noise to an action, is `models.behaviour.from_noise`; Q^W is
`models.step_critic` at the level of pure noise.
"""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "critic": "critic", "step_critic": "step-critic", "log_temperature": "scalar"}


def noise_critic(models, s, w):
    """Q^W_i(s, w) of noises w (B, d): (2, B)."""
    return models.step_critic(s, w, jnp.full(w.shape[:-1], models.behaviour.grid[0]))


def step_critic_loss(models, batch, key):
    """Noise aliasing: sum_i E (Q^W_i(s, w) - Q^A_i(s, pi_dp(s, w)))^2 / 2, w ~ N(0, I), Q^A held constant.

    Source: Algorithm 1, the update of the latent-noise critic. batch.s (B, ds).
    """
    w = jax.random.normal(key, batch.a.shape)
    a = models.behaviour.from_noise(w, batch.s)
    worth = jax.lax.stop_gradient(models.critic(batch.s, a))
    return 0.5 * jnp.sum(jnp.mean((noise_critic(models, batch.s, w) - worth) ** 2, axis=1)), {}


def critic_loss(models, batch, key, *, discount, steering_scale):
    """Sum_i E (Q^A_i(s, a) - r - gamma (min_j Qbar^A_j(s', a') - alpha log pi(u'|s')))^2 / 2.

    a' = pi_dp(s', b u'), u' ~ pi(.|s'), b = steering_scale. Source: Algorithm 1, the update of the action critic, with
    the entropy of the SAC that the official code runs.
    """
    u, log_pi = models.actor.sample_with_log_prob(key, batch.next_s)
    next_a = models.behaviour.from_noise(steering_scale * u, batch.next_s)
    q_1, q_2 = models.target_critic(batch.next_s, next_a)
    v = jnp.where(q_1 < q_2, q_1, q_2) - jnp.exp(models.log_temperature) * log_pi
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * v)
    return sum(0.5 * jnp.mean((q - target) ** 2) for q in models.critic(batch.s, batch.a)), {}


def actor_loss(models, batch, key, *, steering_scale):
    """E[alpha log pi(u|s) - min_i Q^W_i(s, b u)], u a reparameterised draw, b = steering_scale.

    alpha = exp(models.log_temperature) is a constant here. Source: Algorithm 1, the update of the latent-noise actor,
    with the entropy of SAC.
    """
    u, log_pi = models.actor.sample_with_log_prob(key, batch.s)
    q_1, q_2 = noise_critic(models, batch.s, steering_scale * u)
    alpha = jax.lax.stop_gradient(jnp.exp(models.log_temperature))
    return jnp.mean(alpha * log_pi - jnp.where(q_1 < q_2, q_1, q_2)), {"entropy": -jnp.mean(log_pi)}


def log_temperature_loss(models, batch, key, *, target_entropy):
    """-log alpha E[log pi(u|s) + H], H = d target_entropy. Source: official train_dsrl.py, ent_coef auto."""
    _, log_pi = models.actor.sample_with_log_prob(key, batch.s)
    gap = jax.lax.stop_gradient(jnp.mean(log_pi)) + models.actor.dim * target_entropy
    return -models.log_temperature * gap, {}


def act(models, s, key, *, steering_scale):
    """pi_dp(s, b u), u ~ pi(.|s). Source: Algorithm 1, collection."""
    u, _ = models.actor.sample_with_log_prob(key, s)
    return models.behaviour.from_noise(steering_scale * u, s)


generate = act
