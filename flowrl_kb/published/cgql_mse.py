"""CGQL with mode mse in ColinQiyangLi/qam (f93efd2), agents/cgql.py: the flow follows a critic of noisy actions.

There every head also takes a level; here `models.energy` stands for the mean of those heads over the temperature.
"""

import jax
import jax.numpy as jnp

from flowrl_kb.published.cgql import actor_loss as actor_loss

TRAINS = {"actor": "field", "critic": "critic", "energy": "energy"}


def act(models, s, key, *, guidance_weight, box=None):
    """Euler steps of v = v_theta(x, tau, s) + w ((1 - tau) grad_x E(x, tau, s) + x) / tau, w = guidance_weight.

    v_theta is the averaged velocity towards data at tau = 1 - t. Source: compute_flow_actions, whose first level is not
    guided (tau = 0), and sample_actions with best_of_n one. s (..., ds); returns (..., d).
    """
    field = models.target_actor
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))
    for t, after in zip(field.grid[:-1], field.grid[1:], strict=True):
        level, tau = jnp.full(x.shape[:-1], t), 1.0 - t
        slope = jax.grad(lambda a, level=level: jnp.sum(models.energy(a, level, s)))(x)
        v = -field.velocity(x, level, s) + (slope * (1.0 - tau) + x) * guidance_weight / tau
        x = x + (t - after) * v
    return x if box is None else jnp.clip(x, -box, box)


def critic_loss(models, batch, key, *, discount, pessimism, guidance_weight, box=None):
    """Heads regressed on r + gamma (mean_h - rho std_h) Qbar_h(s', a'), a' one guided action; rho = pessimism.

    Source: critic_loss, its part on clean actions.
    """
    q = models.target_critic(batch.next_s, act(models, batch.next_s, key, guidance_weight=guidance_weight, box=box))
    v = jnp.mean(q, axis=0) - pessimism * jnp.std(q, axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * v)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {"v": jnp.mean(v)}


def energy_loss(models, batch, key, *, temperature):
    """E (E(x_tau, tau, s) - mean_h Qbar_h(s, a) / temperature)^2, x_tau = (1 - tau) z + tau a, a data actions (B, d).

    Source: critic_loss, mode mse, where each head has its own averaged value as target; means over heads are linear.
    """
    k_time, k_noise = jax.random.split(key)
    t = models.actor.path.sample_t(k_time, batch.a.shape[:1])
    x = t[:, None] * jax.random.normal(k_noise, batch.a.shape) + (1.0 - t)[:, None] * batch.a
    label = jax.lax.stop_gradient(jnp.mean(models.target_critic(batch.s, batch.a), axis=0) / temperature)
    return jnp.mean((models.energy(x, t, batch.s) - label) ** 2), {"label": jnp.mean(label)}
