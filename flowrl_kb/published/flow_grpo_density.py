"""Flow-GRPO as derived (sections 4.1 and 4.2): ratios of whole step densities and their whole divergence."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.flow_grpo import act, schedule, sde_mean

__all__ = ["TRAINS", "act", "actor_loss"]

TRAINS = {"actor": "field"}


def distance(x, mean, variance):
    """|x - mean|^2 / (2 variance), summed over dimensions: (B,)."""
    return 0.5 * jnp.sum((x - mean) ** 2, axis=-1) / variance


def actor_loss(models, batch, key, *, clip, anchor_weight):
    """Clipped policy gradient of every step, and the divergence of its law from that of the pre-trained model.

    L = E_{k,i} [-min(A r_k, A clip(r_k, 1 +- eps)) + beta KL_k], r_k = N(x'; mu_theta, sigma_k^2 dt I) / N(x'; mu_old,
    sigma_k^2 dt I), KL_k = |mu_theta - mu_ref|^2 / (2 sigma_k^2 dt), both over all dimensions. Source: sections 4.1
    and 4.2. batch.chain (K+1, B, d) drawn by models.old; batch.advantage (B,) standardised in the group of a context;
    models.behaviour is the pre-trained model.
    """
    total, steps = 0.0, len(batch.chain) - 1
    for k in range(steps):
        x, following = batch.chain[k], batch.chain[k + 1]
        t, dt, sigma = schedule(models.old, k)
        level, variance = jnp.full(x.shape[:-1], t), sigma**2 * dt
        velocities = (m.velocity(x, level, batch.s) for m in (models.actor, models.old, models.behaviour))
        new, old, frozen = (sde_mean(v, x, t, dt, sigma) for v in velocities)
        old, frozen = jax.lax.stop_gradient((old, frozen))
        ratio = jnp.exp(distance(following, old, variance) - distance(following, new, variance))
        gain = jnp.minimum(batch.advantage * ratio, batch.advantage * jnp.clip(ratio, 1.0 - clip, 1.0 + clip))
        total = total + jnp.mean(anchor_weight * distance(new, frozen, variance) - gain)
    return total / steps, {}
