"""QSM: Learning a Diffusion Model Policy from Rewards via Q-Score Matching, Psenka et al. 2023
(arXiv 2312.11752)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, temperature):
    """Regression of the noise prediction on the scaled action gradient of Q at the noised replay action.

    L = E |eps_theta(x_t, t, s) + M_q g(x_t)|^2 / d, g = grad_a (Q_1 + Q_2) / 2, x_t = alpha a + sigma eps,
    with M_q = 1 / temperature. Neither sigma nor eps enters the target. Source: Algorithm 1; official
    score_matching_learner.py, update_actor. batch.a (B, d) are replay actions.
    """
    k_time, k_noise = jax.random.split(key)
    path = models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    x = path.alpha(t)[:, None] * batch.a + path.sigma(t)[:, None] * jax.random.normal(k_noise, batch.a.shape)
    g = jax.vmap(jax.grad(lambda a, s: jnp.mean(models.critic(s, a))))(x, batch.s)
    target = jax.lax.stop_gradient(-g / temperature)
    return jnp.mean((target - models.actor.eps(x, t, batch.s)) ** 2), {"slope": jnp.mean(jnp.abs(g))}


def critic_loss(models, batch, key, *, discount, backup_noise_std, box=None):
    """Both heads regressed on r + gamma min_i Qbar_i(s', a').

    a' is a policy action plus Gaussian noise, clipped to the box. Source: official update_q.
    """
    k_sample, k_noise = jax.random.split(key)
    next_a = models.actor.sample(k_sample, batch.next_s)
    next_a = next_a + backup_noise_std * jax.random.normal(k_noise, next_a.shape)
    if box is not None:
        next_a = jnp.clip(next_a, -box, box)
    next_v = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_v)
    first, second = models.critic(batch.s, batch.a)
    return jnp.mean((first - target) ** 2) + jnp.mean((second - target) ** 2), {"q": jnp.mean(first)}


def act(models, s, key, *, noise_std, box=None):
    """One policy action plus Gaussian noise of deviation `noise_std`. Source: official sample_actions."""
    k_sample, k_noise = jax.random.split(key)
    a = models.actor.sample(k_sample, s)
    a = a + noise_std * jax.random.normal(k_noise, a.shape)
    return a if box is None else jnp.clip(a, -box, box)
