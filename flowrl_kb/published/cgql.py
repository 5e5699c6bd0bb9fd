"""CGQL: classifier guidance with a learned Q, a baseline of Q-learning with Adjoint Matching, Li and Levine 2026
(arXiv 2601.14234)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def _sample(models, s, key, *, temperature, guidance_weight, box):
    """Euler steps of v = v_theta(x, tau, s) + w (x + (1 - tau) grad_x mean_h Q_h(s, x) / temperature) / tau.

    v_theta is the averaged velocity towards data at tau = 1 - t, w = guidance_weight; (w / tau)(x + (1 - tau) score) is
    w times the velocity whose score is the gradient. Source: official agents/cgql.py, compute_flow_actions with mode
    simple, which leaves its first level tau = 0 unguided. s (..., ds); returns (..., d).
    """
    field = models.target_actor
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))
    for t, after in zip(field.grid[:-1], field.grid[1:], strict=True):
        tau = 1.0 - t
        push = jax.grad(lambda a: jnp.sum(jnp.mean(models.critic(s, a), axis=0)))(x) / temperature
        v = -field.velocity(x, jnp.full(x.shape[:-1], t), s)
        v = v + ((1.0 - tau) * push + x) * guidance_weight / tau
        x = x + v * (t - after)
    return x if box is None else jnp.clip(x, -box, box)


def actor_loss(models, batch, key):
    """Flow matching on the data's actions; no value enters: E |v_theta(x_tau, tau, s) - (a - z)|^2.

    x_tau = (1 - tau) z + tau a. Source: official agents/cgql.py, actor_loss. batch.a (B, d).
    """
    k_time, k_noise = jax.random.split(key)
    tau = 1.0 - models.actor.path.sample_t(k_time, batch.a.shape[:1])
    z = jax.random.normal(k_noise, batch.a.shape)
    x = (1.0 - tau)[:, None] * z + tau[:, None] * batch.a
    v = -models.actor.velocity(x, 1.0 - tau, batch.s)
    return jnp.mean((v - (batch.a - z)) ** 2), {}


def critic_loss(models, batch, key, *, discount, pessimism, temperature, guidance_weight, box=None):
    """Heads regressed on r + gamma (mean_h - rho std_h) Qbar_h(s', a'), a' one guided action; rho = pessimism.

    Source: official agents/cgql.py, critic_loss.
    """
    drawn = {"temperature": temperature, "guidance_weight": guidance_weight, "box": box}
    q = models.target_critic(batch.next_s, _sample(models, batch.next_s, key, **drawn))
    v = jnp.mean(q, axis=0) - pessimism * jnp.std(q, axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * v)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {"v": jnp.mean(v)}


def act(models, s, key, *, temperature, guidance_weight, box=None):
    """One guided action. Source: official agents/cgql.py, sample_actions with best_of_n one."""
    return _sample(models, s, key, temperature=temperature, guidance_weight=guidance_weight, box=box)
