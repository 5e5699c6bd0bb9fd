"""Diffusion-QL: Diffusion Policies as an Expressive Policy Class for Offline Reinforcement Learning,
Wang, Hunt and Zhou 2022 (arXiv 2208.06193)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def denoise(field, s, key):
    """Differentiable ancestral sampling of one action for each state, noise-free in the last step. Source: eq. 1-2."""
    levels = field.grid.shape[0] - 1
    x = jax.random.normal(jax.random.fold_in(key, levels), (*s.shape[:-1], field.dim))
    for k in range(levels):
        t, u = field.grid[k], field.grid[k + 1]
        a_t, a_u, s_t, s_u = field.path.alpha(t), field.path.alpha(u), field.path.sigma(t), field.path.sigma(u)
        clean = (x - s_t * field.eps(x, jnp.full(x.shape[:-1], t), s)) / a_t
        if field.box is not None:
            clean = jnp.clip(clean, -field.box, field.box)
        beta = 1.0 - (a_t * s_u / (a_u * s_t)) ** 2  # share of the step's variance that is not explained by x
        mean = (a_t / a_u) * (s_u / s_t) ** 2 * x + a_u * beta * clean
        x = mean + s_u * jnp.sqrt(jnp.maximum(beta, 0.0)) * jax.random.normal(jax.random.fold_in(key, k), x.shape)
    return x if field.box is None else jnp.clip(x, -field.box, field.box)


def actor_loss(models, batch, key, *, q_weight):
    """Denoising loss on the data minus a normalised Q of a differentiable policy sample.

    L = E |eps_theta - eps|^2 / d - eta E[Q_i(s, a_theta)] / sg E|Q_j(s, a_theta)|, (i, j) = (1, 2) or (2, 1) by a coin
    flip. Source: eq. 3 with the normalisation of section 4; official agents/ql_diffusion.py. q_weight = eta.
    """
    k_time, k_noise, k_chain, k_coin = jax.random.split(key, 4)
    field = models.actor
    t = field.path.sample_t(k_time, batch.a.shape[:1])
    eps = jax.random.normal(k_noise, batch.a.shape)
    noisy = field.path.alpha(t)[:, None] * batch.a + field.path.sigma(t)[:, None] * eps
    cloning = jnp.mean((field.eps(noisy, t, batch.s) - eps) ** 2)
    q_first, q_second = models.critic(batch.s, denoise(field, batch.s, k_chain))
    coin = jax.random.bernoulli(k_coin)
    numerator, other = jnp.where(coin, q_first, q_second), jnp.where(coin, q_second, q_first)
    improvement = jnp.mean(numerator) / jax.lax.stop_gradient(jnp.mean(jnp.abs(other)))
    return cloning - q_weight * improvement, {"cloning": cloning}


def critic_loss(models, batch, key, *, discount):
    """Clipped double-Q regression with one next action of the averaged actor. Source: eq. 4 (no max-Q backup)."""
    next_a = denoise(models.target_actor, batch.next_s, key)
    next_q = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    return jnp.sum(jnp.mean((models.critic(batch.s, batch.a) - target) ** 2, axis=-1)), {}


def act(models, s, key, *, best_of, acting_temperature):
    """One of `best_of` samples, drawn with softmax weights of the smaller target critic. Source: official code."""
    k_sample, k_pick = jax.random.split(key)
    a = denoise(models.actor, jnp.broadcast_to(s, (best_of, *s.shape)), k_sample)
    q = jnp.min(models.target_critic(s, a), axis=0)
    pick = jax.random.categorical(k_pick, q / acting_temperature, axis=0)
    return jnp.take_along_axis(a, pick[None, ..., None], axis=0)[0]
