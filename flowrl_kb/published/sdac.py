"""SDAC: Efficient Online Reinforcement Learning for Diffusion Policy, Ma et al. 2025 (arXiv 2502.00361)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, temperature, candidates, box=None):
    """Reverse-sampling reweighted score matching for the maximum-entropy target.

    L = E sum_k w_k |eps_theta(x_t) - n_k|^2, a_k = (x_t - sigma n_k) / alpha,
    w = softmax_k(min_i Q_i(s, a_k) / lambda), with x_t a noised action of the current policy. Source: reverse
    sampling version of reweighted score matching; official relax/algorithm/sdac.py. batch.s (B, ds);
    candidates = number of n_k for each x_t.
    """
    field, s = models.actor, batch.s
    k_action, k_time, k_forward, k_reverse = jax.random.split(key, 4)
    a = field.sample(k_action, s)
    t = field.path.sample_t(k_time, s.shape[:1])
    alpha, sigma = field.path.alpha(t)[:, None], field.path.sigma(t)[:, None]
    x = alpha * a + sigma * jax.random.normal(k_forward, a.shape)
    n = jax.random.normal(k_reverse, (candidates, *a.shape))
    guess = (x - sigma * n) / alpha
    if box is not None:
        guess = jnp.clip(guess, -box, box)
    q = jnp.min(models.critic(s, guess), axis=0)
    w = jax.nn.softmax(q / temperature, axis=0)
    x, n, w = jax.lax.stop_gradient((x, n, w))
    error = jnp.sum((field.eps(x, t, s) - n) ** 2, axis=-1)
    return jnp.mean(jnp.sum(w * error, axis=0)), {"largest_weight": jnp.mean(jnp.max(w, axis=0))}


def critic_loss(models, batch, key, *, discount):
    """Clipped double-Q regression on r + gamma min_i Qbar_i(s', a'), a' one policy action; no entropy term."""
    next_a = models.actor.sample(key, batch.next_s)
    next_q = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    q = models.critic(batch.s, batch.a)
    return jnp.sum(jnp.mean((q - target) ** 2, axis=-1)), {"q": jnp.mean(q)}


def act(models, s, key, *, best_of, noise_std):
    """Best of `best_of` policy samples by the smaller critic, plus Gaussian noise of standard deviation `noise_std`."""
    k_sample, k_noise = jax.random.split(key)
    a = models.actor.sample(k_sample, s, (best_of,))
    best = jnp.argmax(jnp.min(models.critic(s, a), axis=0), axis=0)
    chosen = jnp.take_along_axis(a, best[None, ..., None], axis=0)[0]
    return chosen + noise_std * jax.random.normal(k_noise, chosen.shape)
