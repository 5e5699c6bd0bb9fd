"""QIPO (flow-matching form, QIPO-OT): Energy-Weighted Flow Matching for Offline Reinforcement Learning,
Zhang, Zhang and Gu 2025 (arXiv 2503.04975)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, temperature, candidates):
    """Energy-weighted conditional flow matching on a support set of actions.

    L = E sum_j g_j |v_theta(x_j, t_j, s) - (eps_j - a_j)|^2, x = (1 - t) a + t eps, g = softmax_j(beta Q(s, a_j)),
    a_0 the data's action and a_1..a_M drawn by the policy of the last renewal. temperature = 1 / beta,
    candidates = M; models.old is the renewed policy. Source: eq. 5.2 with Algorithm 2, the straight path in place
    of diffusion.
    """
    k_support, k_time, k_noise = jax.random.split(key, 3)
    fresh = jnp.stack([models.old.sample(k, batch.s) for k in jax.random.split(k_support, candidates)])
    support = jnp.concatenate([batch.a[None], fresh])  # (1 + M, B, d)
    t = models.actor.path.sample_t(k_time, support.shape[:-1])
    eps = jax.random.normal(k_noise, support.shape)
    x = (1.0 - t)[..., None] * support + t[..., None] * eps
    residual = models.actor.velocity(x, t, batch.s) - (eps - support)
    energy = jnp.min(models.critic(batch.s, support), axis=0) / temperature
    g = jax.lax.stop_gradient(jnp.exp(energy - jax.scipy.special.logsumexp(energy, axis=0)))
    return jnp.mean(jnp.sum(g * jnp.sum(residual**2, axis=-1), axis=0)), {"data_weight": jnp.mean(g[0])}


def critic_loss(models, batch, key, *, discount, temperature, backup_of):
    """In-support softmax backup: r + gamma sum_j softmax_j(beta Qbar) Qbar(s', a'_j), with a'_j of models.old.

    Source: section 5 (softmax Q-learning of QGPO, 2304.12824, with the renewed support set).
    backup_of = number of a'_j.
    """
    next_a = models.old.sample(key, batch.next_s, (backup_of,))
    next_q = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    soft = jnp.sum(jax.nn.softmax(next_q / temperature, axis=0) * next_q, axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * soft)
    return jnp.sum(jnp.mean((models.critic(batch.s, batch.a) - target) ** 2, axis=-1)), {}


def act(models, s, key):
    """One sample of the flow."""
    return models.actor.sample(key, s)
