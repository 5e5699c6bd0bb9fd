"""DDPO: Training Diffusion Models with Reinforcement Learning, Black et al. 2023 (arXiv 2305.13301), DDPO-IS."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field"}


def denoise(field, x, k, s):
    """Mean and standard deviation of sampling step k from x (B, d): DDIM with eta = 1.

    mu = alpha_u x0 + sqrt(sigma_u^2 - std^2) eps, std = sqrt(sigma_u^2 / sigma_t^2) sqrt(1 - alpha_t^2 / alpha_u^2).
    Source: Song et al. 2021 (DDIM), eq. 12 and 16; official ddim_with_logprob.py. The official chain ends at the lowest
    trained level, which leaves some noise in its last step; here it ends clean and the floor min_std leaves it.
    """
    t, u = field.grid[k], field.grid[k + 1]
    abar_t, abar_u = field.path.alpha(t) ** 2, field.path.alpha(u) ** 2
    noise = field.eps(x, jnp.full(x.shape[:-1], t), s)
    clean = (x - jnp.sqrt(1.0 - abar_t) * noise) / jnp.sqrt(abar_t)
    if field.box is not None:
        clean = jnp.clip(clean, -field.box, field.box)
        noise = (x - jnp.sqrt(abar_t) * clean) / jnp.sqrt(1.0 - abar_t)
    variance = (1.0 - abar_u) / (1.0 - abar_t) * (1.0 - abar_t / abar_u)
    mean = jnp.sqrt(abar_u) * clean + jnp.sqrt(jnp.maximum(1.0 - abar_u - variance, 0.0)) * noise
    return mean, jnp.maximum(jnp.sqrt(jnp.maximum(variance, 0.0)), field.min_std)


def log_probability(field, before, after, k, s, reduction):
    """log N(after; mu, std^2) of one step (B,), summed over dimensions, or averaged as in the official code."""
    mean, std = denoise(field, before, k, s)
    log_p = -((after - mean) ** 2) / (2.0 * std**2) - jnp.log(std) - jnp.log(jnp.sqrt(2.0 * jnp.pi))
    return log_p.mean(-1) if reduction == "mean" else log_p.sum(-1)


def actor_loss(models, batch, key, *, clip, log_prob_reduction):
    """Clipped importance-sampled policy gradient of the decision process whose actions are the denoising steps.

    L = mean over steps and samples of max(-A rho_k, -A clip(rho_k, 1 +- eps)), rho_k = p_theta(x_{k+1} | x_k, s) /
    p_old(x_{k+1} | x_k, s), or its root of order d. Source: section 4.3, DDPO-IS; official scripts/train.py.
    batch.chain (K+1, B, d) drawn by models.old; batch.advantage (B,) the reward, standardised for each context.
    """
    total, chain = 0.0, batch.chain
    for k in range(len(chain) - 1):
        now = log_probability(models.actor, chain[k], chain[k + 1], k, batch.s, log_prob_reduction)
        then = log_probability(models.old, chain[k], chain[k + 1], k, batch.s, log_prob_reduction)
        ratio = jnp.exp(now - jax.lax.stop_gradient(then))
        unclipped = -batch.advantage * ratio
        clipped = -batch.advantage * jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
        total = total + jnp.mean(jnp.maximum(unclipped, clipped))
    return total / (len(chain) - 1), {"ratio": jnp.mean(ratio)}


def act(models, s, key):
    """One sample of the chain. Source: section 4.3."""
    field = models.actor
    key, first = jax.random.split(key)
    x = jax.random.normal(first, (*s.shape[:-1], field.dim))
    for k in range(len(field.grid) - 1):
        key, here = jax.random.split(key)
        mean, std = denoise(field, x, k, s)
        x = mean + std * jax.random.normal(here, x.shape)
    return x if field.box is None else jnp.clip(x, -field.box, field.box)
