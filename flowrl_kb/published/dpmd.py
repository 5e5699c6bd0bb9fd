"""DPMD: Efficient Online Reinforcement Learning for Diffusion Policy, Ma et al. 2025 (arXiv 2502.00361)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, temperature, candidates):
    """Reweighted score matching for one mirror-descent step from the previous policy.

    L = E sum_k w_k |eps_theta(alpha a_k + sigma eps_k, t_k, s) - eps_k|^2, a_k ~ pi_old(.|s), w = softmax_k of
    min_i Q_i(s, a_k) / lambda, an estimate of exp(Q / lambda) / Z(s). batch.s (B, ds); candidates = number of a_k
    for each state, each with its own t_k and eps_k. Source: mirror-descent version of reweighted score matching.
    """

    def one(key_k):
        k_action, k_time, k_noise = jax.random.split(key_k, 3)
        a = models.old.sample(k_action, batch.s)
        t = models.actor.path.sample_t(k_time, a.shape[:-1])
        eps = jax.random.normal(k_noise, a.shape)
        noisy = models.actor.path.alpha(t)[:, None] * a + models.actor.path.sigma(t)[:, None] * eps
        error = jnp.sum((models.actor.eps(noisy, t, batch.s) - eps) ** 2, axis=-1)
        return error, jnp.min(models.critic(batch.s, a), axis=0)

    error, q = jax.vmap(one)(jax.random.split(key, candidates))
    tilt = jnp.exp((q - jnp.max(q, axis=0)) / temperature)
    w = jax.lax.stop_gradient(tilt / jnp.sum(tilt, axis=0))
    return jnp.mean(jnp.sum(w * error, axis=0)), {"effective_candidates": jnp.mean(1.0 / jnp.sum(w**2, axis=0))}


def critic_loss(models, batch, key, *, discount):
    """Clipped double-Q regression on r + gamma min_i Qbar_i(s', a'), a' one policy action; no entropy term."""
    next_a = models.actor.sample(key, batch.next_s)
    next_q = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    q = models.critic(batch.s, batch.a)
    return jnp.sum(jnp.mean((q - target) ** 2, axis=-1)), {"q": jnp.mean(q)}


def act(models, s, key, *, best_of, noise_std):
    """Best of `best_of` samples by the smaller critic, plus Gaussian noise. Source: official network/diffv2.py."""
    k_sample, k_noise = jax.random.split(key)
    a = models.actor.sample(k_sample, s, (best_of,))
    best = jnp.argmax(jnp.min(models.critic(s, a), axis=0), axis=0)
    chosen = jnp.take_along_axis(a, best[None, ..., None], axis=0)[0]
    return chosen + noise_std * jax.random.normal(k_noise, chosen.shape)
