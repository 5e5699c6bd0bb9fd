"""IFQL: implicit flow Q-learning, a baseline of Flow Q-Learning, Park, Li and Levine 2025 (arXiv 2502.02538)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic", "value": "value"}


def actor_loss(models, batch, key):
    """Conditional flow matching on the data's actions; no value enters.

    L = E |v_theta(x_t, t, s) - (eps - a)|^2 / d on the straight path x_t = (1 - t) a + t eps, t uniform. Source:
    official agents/ifql.py, actor_loss, whose time runs from noise to data. batch.a (B, d) are data actions.
    """
    k_noise, k_time = jax.random.split(key)
    eps = jax.random.normal(k_noise, batch.a.shape)
    t = models.actor.path.sample_t(k_time, batch.a.shape[:1])
    x = (1.0 - t[:, None]) * batch.a + t[:, None] * eps
    return jnp.mean((models.actor.velocity(x, t, batch.s) - (eps - batch.a)) ** 2), {}


def value_loss(models, batch, key, *, expectile):
    """Expectile regression of V(s) on the smaller averaged head: |tau - 1[u < 0]| u^2, u = min_i Qbar_i(s, a) - V(s).

    Source: official agents/ifql.py, value_loss; IQL (2110.06169), eq. 5. expectile = tau.
    """
    u = jax.lax.stop_gradient(jnp.min(models.target_critic(batch.s, batch.a), axis=0)) - models.value(batch.s)
    return jnp.mean(jnp.where(u >= 0, expectile, 1.0 - expectile) * u**2), {}


def critic_loss(models, batch, key, *, discount):
    """Regression of both heads on r + gamma V(s'). Source: official agents/ifql.py, critic_loss; IQL, eq. 6."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    return jnp.mean(jnp.sum((models.critic(batch.s, batch.a) - target) ** 2, axis=0)), {}


def act(models, s, key, *, best_of):
    """The flow sample of largest smaller head among `best_of`. Source: official agents/ifql.py, sample_actions."""
    a = models.actor.sample(key, s, (best_of,))
    best = jnp.argmax(jnp.min(models.critic(s, a), axis=0), axis=0)
    return jnp.take_along_axis(a, best[None, ..., None], axis=0)[0]
