"""SDAC in typoverflow/flow-rl (bae22f4), flowrl/agent/online/sdac.py: noised replay actions, candidates truncated to
the box."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.sdac import critic_loss as critic_loss

TRAINS = {"actor": "field", "critic": "critic"}


def reverse_noises(key, x, alpha, sigma, candidates, box):
    """Unit noises m (K, B, d), drawn such that (x + sigma m) / alpha lies in the box: truncated normal numbers.

    Where their interval is so far out that they are not finite, normal numbers cut to it. Source: jit_update_sdac.
    """
    shape = (candidates, *x.shape)
    if box is None:
        return jax.random.normal(key, shape)
    k_truncated, k_cut = jax.random.split(key)
    low, high = (-alpha * box - x) / sigma, (alpha * box - x) / sigma
    m = jax.random.truncated_normal(k_truncated, low, high, shape)
    return jnp.where(jnp.isnan(m), jnp.clip(jax.random.normal(k_cut, shape), low, high), m)


def actor_loss(models, batch, key, *, temperature, candidates, box=None):
    """Weighted regression of the noise prediction on minus the noises that lead from x_t to the candidates.

    L = mean over k, rows and dimensions of w_k (eps_theta(x_t) + m_k)^2, a_k = (x_t + sigma m_k) / alpha,
    w = softmax_k(min_i Q_i(s, a_k) / lambda), x_t a noised replay action, m_k as in `reverse_noises`. Source:
    jit_update_sdac. batch.a (B, d) are replay actions; candidates = number of m_k; lambda = temperature.
    """
    k_time, k_forward, k_reverse = jax.random.split(key, 3)
    path = models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    x = alpha * batch.a + sigma * jax.random.normal(k_forward, batch.a.shape)
    m = reverse_noises(k_reverse, x, alpha, sigma, candidates, box)
    s = jnp.broadcast_to(batch.s, (candidates, *batch.s.shape))
    q = jnp.min(models.critic(s, (x + sigma * m) / alpha), axis=0)
    w = jax.lax.stop_gradient(jax.nn.softmax(q / temperature, axis=0))
    return jnp.mean(w[..., None] * (models.actor.eps(x, t, batch.s) + m) ** 2), {"largest_weight": jnp.max(w)}


def act(models, s, key, *, best_of):
    """The best of `best_of` samples by the smaller online head: evaluation. Source: jit_sample_actions."""
    a = models.actor.sample(key, s, (best_of,))
    q = jnp.min(models.critic(s, a), axis=0)
    return jnp.take_along_axis(a, jnp.argmax(q, axis=0)[None, :, None], axis=0)[0]
