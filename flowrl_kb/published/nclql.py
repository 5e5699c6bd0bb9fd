"""NC-LQL: Direct Soft-Policy Sampling via Langevin Dynamics, Ki et al. 2026 (arXiv 2602.07873)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "flat", "critic": "critic", "energy": "energy"}


def walk(models, s, key, *, guidance_weight, box):
    """Annealed Langevin steps from uniform actions: a <- a + eta_l w grad_a E(a, l, s) / 2 + sqrt(eta_l) z.

    eta_l = min_std^2 (sigma_l / sigma_L)^2, L the least noisy level, w = guidance_weight. The variance-exploding level
    of a noisy action is its sigma. Source: abstract; official network/nclql.py without its division of the gradient by
    its length. Every step ends in the box, where there is one. s (..., ds); returns (..., d).
    """
    base, half = models.actor, 1.0 if box is None else box
    levels = base.path.sigma(base.grid[:-1])
    k_start, k_noise = jax.random.split(key)
    start = jax.random.uniform(k_start, (*s.shape[:-1], base.dim), minval=-half, maxval=half)

    def move(a, level):
        sigma, k = level
        root = base.min_std * sigma / levels[-1]
        push = jax.vmap(jax.grad(models.energy), (0, None, 0))
        rows, states = a.reshape(-1, base.dim), s.reshape(-1, s.shape[-1])
        slope = push(rows, sigma, states).reshape(a.shape)
        a = a + 0.5 * root**2 * guidance_weight * slope + root * jax.random.normal(k, a.shape)
        return (a if box is None else jnp.clip(a, -box, box)), None

    return jax.lax.scan(move, start, (levels, jax.random.split(k_noise, len(levels))))[0]


def critic_loss(models, batch, key, *, discount, guidance_weight, box=None):
    """Double-Q regression on r + gamma min_i Qbar_i(s', a'), a' a walk along the energy being trained.

    Source: official algorithm/nclql.py, q_td_loss_fn. batch.s (B, ds).
    """
    next_a = walk(models, batch.next_s, key, guidance_weight=guidance_weight, box=box)
    bootstrap = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    y = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * bootstrap)
    return sum(jnp.mean((q - y) ** 2) for q in models.critic(batch.s, batch.a)), {"target": jnp.mean(y)}


def energy_loss(models, batch, key, *, temperature):
    """E (E(a + sigma z, sigma, s) - mean_i Q_i(s, a) / lambda)^2 on replay actions: the values of noisy actions.

    In the official code noisy values are heads of the critic's own network, which regress on Q and are multiplied by
    1 / lambda in the walk. Source: official algorithm/nclql.py, q_t_loss_fn. lambda = temperature.
    """
    k_level, k_noise = jax.random.split(key)
    sigma = models.actor.path.sigma(models.actor.path.sample_t(k_level, batch.a.shape[:-1]))
    noisy = batch.a + sigma[:, None] * jax.random.normal(k_noise, batch.a.shape)
    clean = jax.lax.stop_gradient(jnp.mean(models.critic(batch.s, batch.a), axis=0)) / temperature
    return jnp.mean((models.energy(noisy, sigma, batch.s) - clean) ** 2), {"clean": jnp.mean(clean)}


def act(models, s, key, *, guidance_weight, box=None):
    """The end of one walk. Source: official get_action with one particle."""
    return walk(models, s, key, guidance_weight=guidance_weight, box=box)


generate = act
