"""FQL: Flow Q-Learning, Park, Li and Levine 2025 (arXiv 2502.02538)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "map", "behaviour": "field", "critic": "critic"}


def clip(a, box):
    """Actions clipped to the box of half-width `box`, if there is one."""
    return a if box is None else jnp.minimum(jnp.maximum(a, -box), box)


def teacher_actions(field, s, z, box):
    """Euler integration of the cloned flow from noise z (B, d) to actions, one step for each grid interval."""
    x = z
    for start, end in zip(field.grid[:-1], field.grid[1:], strict=True):
        x = x - (start - end) * field.velocity(x, jnp.full(x.shape[:-1], start), s)
    return clip(x, box)


def behaviour_loss(models, batch, key):
    """Conditional flow matching on the data, x_t on the straight path: E |v_theta(x_t, t, s) - (eps - a)|^2 / d.

    Source: flow-matching loss of the behaviour policy (section 4); official agents/fql.py, bc_flow_loss, whose
    time runs from noise to data.
    """
    k_time, k_noise = jax.random.split(key)
    t = models.behaviour.path.sample_t(k_time, batch.a.shape[:1])
    eps = jax.random.normal(k_noise, batch.a.shape)
    x = batch.a + t[:, None] * (eps - batch.a)
    return jnp.mean((models.behaviour.velocity(x, t, batch.s) - (eps - batch.a)) ** 2), {}


def actor_loss(models, batch, key, *, bc_weight, box=None):
    """One-step policy that maximises Q while it stays near the flow's output for the same noise.

    L = alpha E |mu_omega(s, z) - mu_theta(s, z)|^2 / d - E mean_i Q_i(s, clip mu_omega(s, z)). bc_weight = alpha.
    Source: distillation and Q loss (section 4); official agents/fql.py, whose distance uses the unclipped action.
    """
    z = jax.random.normal(key, batch.a.shape)
    a = models.actor(batch.s, z)
    taught = jax.lax.stop_gradient(teacher_actions(models.behaviour, batch.s, z, box))
    distance = jnp.mean((a - taught) ** 2)
    q = jnp.mean(models.critic(batch.s, clip(a, box)))
    return bc_weight * distance - q, {"distance": distance, "q": q}


def critic_loss(models, batch, key, *, discount, box=None):
    """Regression of every head on r + gamma mean_i Qbar_i(s', a'), a' one clipped one-step action.

    Source: official agents/fql.py with q_agg = mean.
    """
    next_a = clip(models.actor(batch.next_s, jax.random.normal(key, batch.a.shape)), box)
    next_q = jnp.mean(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {}


def act(models, s, key, *, box=None):
    """One clipped action of the one-step policy."""
    z = jax.random.normal(key, (*s.shape[:-1], models.actor.dim))
    return clip(models.actor(s, z), box)
