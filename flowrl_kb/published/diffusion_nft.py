"""DiffusionNFT: Online Diffusion Reinforcement with Forward Process, Zheng et al. 2025 (arXiv 2509.16117)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field"}


def optimality(advantage, advantage_max):
    """r = 1/2 + clip(A / m, -1, 1) / 2, the probability (B,) that a sample is good. Source: algorithm 1, line 5."""
    return 0.5 + 0.5 * jnp.clip(advantage / advantage_max, -1.0, 1.0)


def actor_loss(models, batch, key, *, temperature, advantage_max):
    """Flow matching of two implicit policies, mirror images around the previous field.

    L = E [r |v+ - v|^2 + (1 - r) |v- - v|^2], v+ = (1 - beta) v_old + beta v_theta, v- = (1 + beta) v_old - beta
    v_theta, v = eps - a at x_t = (1 - t) a + t eps, beta = temperature. Source: eq. 5, algorithm 1. batch.a (B, d)
    drawn by models.old, batch.advantage (B,).
    """
    k_t, k_eps = jax.random.split(key)
    t = models.actor.path.sample_t(k_t, batch.advantage.shape)
    eps = jax.random.normal(k_eps, batch.a.shape)
    x_t = (1.0 - t[:, None]) * batch.a + t[:, None] * eps
    v_old = jax.lax.stop_gradient(models.old.velocity(x_t, t, batch.s))
    v_theta = models.actor.velocity(x_t, t, batch.s)
    v_plus = (1.0 - temperature) * v_old + temperature * v_theta
    v_minus = (1.0 + temperature) * v_old - temperature * v_theta
    good = jnp.sum((v_plus - (eps - batch.a)) ** 2, axis=-1)
    bad = jnp.sum((v_minus - (eps - batch.a)) ** 2, axis=-1)
    r = optimality(batch.advantage, advantage_max)
    return jnp.mean(r * good + (1.0 - r) * bad), {"optimality": jnp.mean(r)}


def act(models, s, key):
    """Euler integration of the velocity from Gaussian noise: one of the solvers that the method leaves free."""
    field = models.actor
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))
    for k in range(field.grid.shape[0] - 1):
        step = field.grid[k + 1] - field.grid[k]
        x = x + step * field.velocity(x, jnp.broadcast_to(field.grid[k], x.shape[:-1]), s)
    return x if field.box is None else jnp.clip(x, -field.box, field.box)
