"""DDPO with the ratio of whole transition densities in place of its root of order d (section 4.3, DDPO-IS)."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.ddpo import act, denoise

__all__ = ["TRAINS", "act", "actor_loss"]

TRAINS = {"actor": "field"}


def log_density(field, x, following, k, s):
    """log N(following; mu_k(x, s), std_k^2 I) up to a constant that no field changes: (B,)."""
    mean, std = denoise(field, x, k, s)
    return -0.5 * jnp.sum(((following - mean) / std) ** 2, axis=-1)


def actor_loss(models, batch, key, *, clip):
    """One clipped ratio for each step of the chain, with the same advantage.

    L = -E_{k,i} min(A rho_k, A clip(rho_k, 1 +- eps)), rho_k = p_theta(x_{k+1} | x_k, s) / p_old(x_{k+1} | x_k, s),
    densities of all dimensions together; their std is that of the sampler and cancels. Source: section 4.3, DDPO-IS.
    batch.chain (K+1, B, d) drawn by models.old; batch.advantage (B,) the reward, standardised for each context.
    """
    gained = []
    for k, (x, following) in enumerate(zip(batch.chain[:-1], batch.chain[1:], strict=True)):
        new, old = (log_density(field, x, following, k, batch.s) for field in (models.actor, models.old))
        rho = jnp.exp(new - jax.lax.stop_gradient(old))
        gained.append(jnp.minimum(batch.advantage * rho, batch.advantage * jnp.clip(rho, 1.0 - clip, 1.0 + clip)))
    return -jnp.mean(jnp.stack(gained)), {}
