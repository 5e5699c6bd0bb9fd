"""DPPO: Diffusion Policy Policy Optimization, Ren et al. 2024 (arXiv 2409.00588)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "value": "value"}


def transition(field, x, k, s):
    """Mean and floored standard deviation of denoising step k from x (B, d). Source: section 4.3, sigma >= min_std."""
    t, u = field.grid[k], field.grid[k + 1]
    a_t, a_u, s_t, s_u = field.path.alpha(t), field.path.alpha(u), field.path.sigma(t), field.path.sigma(u)
    clean = (x - s_t * field.eps(x, jnp.full(x.shape[:-1], t), s)) / a_t
    if field.box is not None:
        clean = jnp.clip(clean, -field.box, field.box)
    kept = (a_t * s_u / (a_u * s_t)) ** 2
    mean = (a_t / a_u) * (s_u / s_t) ** 2 * x + a_u * (1.0 - kept) * clean
    return mean, jnp.maximum(s_u * jnp.sqrt(jnp.maximum(1.0 - kept, 0.0)), field.min_std)


def log_likelihood(field, chain, s, clamp, reduction):
    """Log-density (K, B) of each transition of the chain (K+1, B, d): elements clamped, then reduced over d."""
    rows = []
    for k in range(field.grid.shape[0] - 1):
        mean, std = transition(field, chain[k], k, s)
        log_p = -0.5 * ((chain[k + 1] - mean) / std) ** 2 - jnp.log(std) - 0.5 * jnp.log(2 * jnp.pi)
        if clamp is not None:
            log_p = jnp.clip(log_p, clamp[0], clamp[1])
        rows.append(jnp.mean(log_p, axis=-1) if reduction == "mean" else jnp.sum(log_p, axis=-1))
    return jnp.stack(rows)


def actor_loss(
    models, batch, key, *, clip, clip_base, clip_rate, denoising_discount, log_prob_clamp, log_prob_reduction
):
    """PPO on the two-layer decision process: one clipped ratio for each denoising step.

    L = mean max(-A_k rho_k, -A_k clip(rho_k, 1 +- eps_k)), A_k = gamma_dn^(K-1-k) A(s, a), rho_k the ratio of the
    transition densities of step k, eps_k growing from clip_base to clip along the chain. Source: sections 4.2-4.3
    and appendix C; official model/diffusion/diffusion_ppo.py. batch.chain (K+1, B, d) drawn by models.old,
    batch.advantage (B,).
    """
    steps = batch.chain.shape[0] - 1
    new = log_likelihood(models.actor, batch.chain, batch.s, log_prob_clamp, log_prob_reduction)
    old = log_likelihood(models.old, batch.chain, batch.s, log_prob_clamp, log_prob_reduction)
    ratio = jnp.exp(new - jax.lax.stop_gradient(old))
    k = jnp.arange(steps)[:, None]
    advantage = denoising_discount ** (steps - 1 - k) * batch.advantage
    growth = jnp.expm1(clip_rate * k / max(steps - 1, 1)) / jnp.expm1(clip_rate)
    width = clip_base + (clip - clip_base) * growth
    worst = jnp.maximum(-advantage * ratio, -advantage * jnp.clip(ratio, 1.0 - width, 1.0 + width))
    return jnp.mean(worst), {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > width)}


def value_loss(models, batch, key):
    """Half the squared error of the state value to the return. Source: official diffusion_ppo.py."""
    return 0.5 * jnp.mean((models.value(batch.s) - batch.returns) ** 2), {}


def act(models, s, key):
    """One sample of the chain with floored noise in every step."""
    field = models.actor
    x = jax.random.normal(jax.random.fold_in(key, field.grid.shape[0]), (*s.shape[:-1], field.dim))
    for k in range(field.grid.shape[0] - 1):
        mean, std = transition(field, x, k, s)
        x = mean + std * jax.random.normal(jax.random.fold_in(key, k), x.shape)
    return x
