"""MaxEntDP: Maximum Entropy Reinforcement Learning with Diffusion Policy, Dong et al. 2025 (arXiv 2502.11612)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def reverse_noises(key, x, alpha, sigma, count, box):
    """Unit noises n (B, count, d), truncated where there is a box so that (x + sigma n) / alpha stays inside."""
    k_cut, k_plain = jax.random.split(key)
    shape = (x.shape[0], count, x.shape[1])
    plain = jax.random.normal(k_plain, shape)
    if box is None:
        return plain
    low, high = (-alpha * box - x) / sigma, (alpha * box - x) / sigma
    cut = jax.random.truncated_normal(k_cut, low[:, None], high[:, None], shape)
    return jnp.where(jnp.isfinite(cut), cut, jnp.clip(plain, low[:, None], high[:, None]))


def actor_loss(models, batch, key, *, temperature, candidates, box=None):
    """Q-weighted noise estimation: regression on one averaged noise.

    L = E |eps_theta(x_t, t, s) - eps_hat|^2, eps_hat = -sum_k w_k n_k, w = softmax_k(min_i Qbar_i(s, a_k) / lambda),
    a_k = (x_t + sigma n_k) / alpha, x_t a noised replay action; candidates = number of n_k for each x_t.
    Source: QNE; official max_entropy_learner.py, update_actor. batch.a (B, d).
    """
    path = models.actor.path
    k_time, k_noise, k_reverse = jax.random.split(key, 3)
    t = path.sample_t(k_time, batch.a.shape[:1])
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    x = alpha * batch.a + sigma * jax.random.normal(k_noise, batch.a.shape)
    n = reverse_noises(k_reverse, x, alpha, sigma, candidates, box)
    a = (x[:, None] + sigma[:, None] * n) / alpha[:, None]
    s = jnp.broadcast_to(batch.s[:, None], (*a.shape[:2], batch.s.shape[-1]))
    w = jax.nn.softmax(jnp.min(models.target_critic(s, a), axis=0) / temperature, axis=1)
    target = jax.lax.stop_gradient(-jnp.einsum("bk,bkd->bd", w, n))
    return jnp.mean((target - models.actor.eps(x, t, batch.s)) ** 2), {"largest_weight": jnp.mean(jnp.max(w, axis=1))}


def log_prob(field, a, s, key, density_noises):
    """Estimate of log pi(a|s), (B,), by a sum over sampler levels from noise to the clean action.

    sum_k (r_{k+1} - r_k) / (2 r_k (1 - r_k)) [r_k d - E|eps_theta - eps|^2] - (d / 2) log(2 pi e), r = alpha^2 of a
    variance-preserving path. Source: numerical integration; official max_entropy_learner.py, calc_log_prob.
    """
    size, d = a.shape
    r = field.path.alpha(field.grid) ** 2

    def term(t, r_here, r_cleaner, key_t):
        eps = jax.random.normal(key_t, (density_noises, size, d))
        x = jnp.sqrt(r_here) * a + jnp.sqrt(1 - r_here) * eps
        predicted = field.eps(x, jnp.full((density_noises, size), t), s)
        if field.box is not None:
            clean = jnp.clip((x - jnp.sqrt(1 - r_here) * predicted) / jnp.sqrt(r_here), -field.box, field.box)
            predicted = (x - jnp.sqrt(r_here) * clean) / jnp.sqrt(1 - r_here)
        error = jnp.mean(jnp.sum((predicted - eps) ** 2, axis=-1), axis=0)
        return (r_cleaner - r_here) / (2 * r_here * (1 - r_here)) * (r_here * d - error)

    keys = jax.random.split(key, field.grid.shape[0] - 1)
    terms = jax.vmap(term)(field.grid[:-1], r[:-1], r[1:], keys)
    return jnp.sum(terms, axis=0) - 0.5 * d * jnp.log(2 * jnp.pi * jnp.e)


def critic_loss(models, batch, key, *, discount, temperature, density_noises):
    """Each head regressed on r + gamma (min_i Qbar_i(s', a') - lambda log pi(a'|s')), a' one policy action.

    Source: soft policy evaluation; official max_entropy_learner.py, update_q.
    """
    k_action, k_density = jax.random.split(key)
    next_a = models.actor.sample(k_action, batch.next_s)
    entropy = -log_prob(models.actor, next_a, batch.next_s, k_density, density_noises)
    v = jnp.min(models.target_critic(batch.next_s, next_a), axis=0) + temperature * entropy
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * v)
    return sum(jnp.mean((q - target) ** 2) for q in models.critic(batch.s, batch.a)), {"entropy": jnp.mean(entropy)}


def act(models, s, key, *, best_of):
    """The sample of largest smaller averaged critic among `best_of`. Source: official eval_actions_select."""
    a = models.actor.sample(key, s, (best_of,))
    best = jnp.argmax(jnp.min(models.target_critic(s, a), axis=0), axis=0)
    return jnp.take_along_axis(a, best[None, ..., None], axis=0)[0]
