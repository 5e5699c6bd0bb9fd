"""QVPO in typoverflow/flow-rl (bae22f4), flowrl/agent/online/qvpo.py: mean of critics, uniform actions in [0, 1)."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.qvpo import critic_loss as critic_loss

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, candidates, floor_weight, floor_samples, box=None):
    """Denoising of the best own sample with its advantage as weight, and of uniform actions with a share of it.

    L = E w |eps_theta(a*_t) - eps|^2 + E sum_u omega w |eps_theta(u_t) - eps|^2, a* the best of the policy's own
    `candidates` by mean_i Q_i, w its excess over their mean, u uniform on [0, 1)^d; omega = floor_weight, floor_samples
    = number of u for each state. A box scales u: the source's is [-1, 1]. Source: jit_update_qvpo, reweight = adv.
    """
    k_policy, k_uniform, k_time, k_noise = jax.random.split(key, 4)
    s = jnp.broadcast_to(batch.s, (candidates, *batch.s.shape))
    own = models.actor.sample(k_policy, batch.s, (candidates,))
    q = jnp.mean(models.critic(s, own), axis=0)
    best = jnp.take_along_axis(own, jnp.argmax(q, axis=0)[None, :, None], axis=0)
    w = jnp.max(q, axis=0) - jnp.mean(q, axis=0)
    u = jax.random.uniform(k_uniform, (floor_samples, *batch.a.shape), maxval=1.0 if box is None else box)
    a = jax.lax.stop_gradient(jnp.concatenate([best, u]))
    share = jnp.full(1 + floor_samples, floor_weight).at[0].set(1.0)
    weight = jax.lax.stop_gradient(share[:, None] * w)
    path = models.actor.path
    t, eps = path.sample_t(k_time, a.shape[:-1]), jax.random.normal(k_noise, a.shape)
    x = path.alpha(t)[..., None] * a + path.sigma(t)[..., None] * eps
    error = (models.actor.eps(x, t, jnp.broadcast_to(batch.s, (len(a), *batch.s.shape))) - eps) ** 2
    return jnp.mean(weight[..., None] * error), {"advantage": jnp.mean(w)}


def act(models, s, key):
    """One sample while data are collected; the best of 32 in evaluation. Source: sample_actions."""
    return models.actor.sample(key, s)
