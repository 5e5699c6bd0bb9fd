"""CFGRL: Diffusion Guidance Is a Controllable Policy Improvement Operator, Frans et al. 2025 (arXiv 2505.23458).

The labels of the paper's network are two fields here: `actor` for good actions, `behaviour` for the dropped label.
"""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "behaviour": "field", "critic": "critic", "value": "value"}


def matching(field, a, s, key):
    """Squared velocity error of a flow at each action (B,): |v(x_t, t, s) - (z - a)|^2 / d, x_t = (1 - t) a + t z.

    Source: official flowiql.py, actor_loss, whose time runs from noise to data. a (B, d), s (B, ds).
    """
    k_noise, k_time = jax.random.split(key)
    z = jax.random.normal(k_noise, a.shape)
    t = field.path.sample_t(k_time, a.shape[:1])
    point = (1.0 - t)[:, None] * a + t[:, None] * z
    return jnp.mean((field.velocity(point, t, s) - (z - a)) ** 2, axis=-1)


def actor_loss(models, batch, key, *, advantage_threshold):
    """Flow matching of the good label, which data actions carry when min_i Q_i(s, a) - V(s) >= delta.

    delta = advantage_threshold. Source: official flowiql.py, is_positive; iql_diffusion.py, vel_loss_positive.
    """
    advantage = jnp.min(models.critic(batch.s, batch.a), axis=0) - models.value(batch.s)
    good = jax.lax.stop_gradient(advantage >= advantage_threshold)
    return jnp.mean(jnp.where(good, matching(models.actor, batch.a, batch.s, key), 0.0)), {"good": jnp.mean(good)}


def behaviour_loss(models, batch, key):
    """Flow matching of the dropped label, on all data actions. Source: official flowiql.py, do_cfg."""
    return jnp.mean(matching(models.behaviour, batch.a, batch.s, key)), {}


def value_loss(models, batch, key, *, expectile):
    """Expectile regression |tau - 1[u < 0]| u^2, u = min_i Qbar_i(s, a) - V(s). Source: official value_loss."""
    u = jax.lax.stop_gradient(jnp.min(models.target_critic(batch.s, batch.a), axis=0)) - models.value(batch.s)
    return jnp.mean(jnp.where(u >= 0, expectile, 1.0 - expectile) * u**2), {}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma V(s'). Source: official critic_loss."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    first, second = models.critic(batch.s, batch.a)
    return jnp.mean((first - target) ** 2 + (second - target) ** 2), {}


def act(models, s, key, *, guidance_weight, box=None):
    """Euler steps of v_mu + w (v_theta - v_mu) from noise to action, w = guidance_weight. Source: sample_actions."""
    grid = models.actor.grid
    a = jax.random.normal(key, (*s.shape[:-1], models.actor.dim))
    for before, after in zip(grid[:-1], grid[1:], strict=True):
        t = jnp.full(s.shape[:-1], before)
        plain, good = models.behaviour.velocity(a, t, s), models.actor.velocity(a, t, s)
        a = a + (after - before) * (plain + guidance_weight * (good - plain))
    return a if box is None else jnp.clip(a, -box, box)
