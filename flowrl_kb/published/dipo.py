"""DIPO: Policy Representation via Diffusion Probability Model for Reinforcement Learning, Yang et al. 2023
(arXiv 2305.13122)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def rewrite(models, batch, key, *, action_steps, action_rate, box=None):
    """Action gradient: what the buffer of the policy holds after the update, (B, d).

    action_steps times a <- a + eta grad_a min_i Q_i(s, a), eta = action_rate, clipped to the box. Source: action
    gradient of the paper; official agent/DiPo.py, action_gradient, whose steps are those of Adam. batch.stored (B, d).
    """
    a = batch.stored
    value = lambda a, s: jnp.min(models.critic(s, a), axis=0)  # noqa: E731
    for _ in range(action_steps):
        a = a + action_rate * jax.vmap(jax.grad(value))(a, batch.s)
        if box is not None:
            a = jnp.clip(a, -box, box)
    return jax.lax.stop_gradient(a)


def actor_loss(models, batch, key, *, action_steps, action_rate, box=None):
    """Denoising of the stored actions after they were moved up the gradient of Q.

    L = E |eps - eps_theta(alpha_t a* + sigma_t eps, t, s)|^2 / d, a* as in `rewrite`. Source: Algorithm 1; official
    agent/DiPo.py, train, and agent/diffusion.py, p_losses.
    """
    field = models.actor
    k_time, k_noise = jax.random.split(key)
    best = rewrite(models, batch, key, action_steps=action_steps, action_rate=action_rate, box=box)
    t = field.path.sample_t(k_time, best.shape[:1])
    eps = jax.random.normal(k_noise, best.shape)
    noisy = field.path.alpha(t)[:, None] * best + field.path.sigma(t)[:, None] * eps
    return jnp.mean((eps - field.eps(noisy, t, batch.s)) ** 2), {
        "moved": jnp.mean(jnp.linalg.norm(best - batch.stored, axis=-1))
    }


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma min_i Qbar_i(s', a'), a' one action of the averaged actor.

    The critic's transitions keep the executed action batch.a (B, d). Source: official agent/DiPo.py, Q training.
    """
    next_a = models.target_actor.sample(key, batch.next_s)
    bootstrap = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * bootstrap)
    q_1, q_2 = models.critic(batch.s, batch.a)
    return jnp.mean((q_1 - target) ** 2) + jnp.mean((q_2 - target) ** 2), {"target": jnp.mean(target)}


def act(models, s, key):
    """One sample of the chain. Source: official agent/DiPo.py, sample_action."""
    return models.actor.sample(key, s)
