"""iDEM in typoverflow/flow-rl (bae22f4), flowrl/agent/online/idem.py: Q over its batch mean absolute gradient,
candidates truncated to the box."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.idem import critic_loss as critic_loss

TRAINS = {"actor": "field", "critic": "critic"}


def reverse_noises(key, x, alpha, sigma, candidates, box):
    """Unit noises m (K, B, d), drawn such that (x + sigma m) / alpha lies in the box: truncated normal numbers.

    Where their interval is so far out that they are not finite, normal numbers cut to it. Source:
    jit_update_idem_actor.
    """
    shape = (candidates, *x.shape)
    if box is None:
        return jax.random.normal(key, shape)
    k_truncated, k_cut = jax.random.split(key)
    low, high = (-alpha * box - x) / sigma, (alpha * box - x) / sigma
    m = jax.random.truncated_normal(k_truncated, low, high, shape)
    return jnp.where(jnp.isnan(m), jnp.clip(jax.random.normal(k_cut, shape), low, high), m)


def actor_loss(models, batch, key, *, temperature, candidates, box=None):
    """Regression of the noise prediction on -(sigma / alpha) sum_k w_k g_k / (lambda E|g|).

    g_k = grad min_i Qbar_i(s, a_k), a_k = (x_t + sigma m_k) / alpha, w = softmax_k(min_i Qbar_i(s, a_k) / (lambda
    E|g|)), x_t a noised replay action, m_k as in `reverse_noises`; E|g| is the mean over candidates, batch and
    dimensions, plus 1e-6. Source: jit_update_idem_actor. batch.a (B, d) are replay actions; candidates = number of
    m_k; lambda = temperature.
    """
    k_time, k_forward, k_reverse = jax.random.split(key, 3)
    path = models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    x = alpha * batch.a + sigma * jax.random.normal(k_forward, batch.a.shape)
    a = (x + sigma * reverse_noises(k_reverse, x, alpha, sigma, candidates, box)) / alpha
    value_and_gradient = jax.value_and_grad(lambda a, s: jnp.min(models.target_critic(s, a), axis=0))
    s = jnp.broadcast_to(batch.s, (candidates, *batch.s.shape))
    q, g = jax.vmap(jax.vmap(value_and_gradient))(a, s)
    strength = temperature * (jnp.mean(jnp.abs(g)) + 1e-6)
    w = jax.nn.softmax(q / strength, axis=0)
    target = jax.lax.stop_gradient(-(sigma / alpha) * jnp.sum(w[..., None] * g, axis=0) / strength)
    return jnp.mean((models.actor.eps(x, t, batch.s) - target) ** 2), {"target": jnp.mean(jnp.abs(target))}


def act(models, s, key, *, best_of):
    """The best of `best_of` samples by the smaller online head: evaluation. Source: qsm.py, jit_sample_actions."""
    a = models.actor.sample(key, s, (best_of,))
    q = jnp.min(models.critic(s, a), axis=0)
    return jnp.take_along_axis(a, jnp.argmax(q, axis=0)[None, :, None], axis=0)[0]
