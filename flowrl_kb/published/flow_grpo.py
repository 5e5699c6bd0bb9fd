"""Flow-GRPO: Training Flow Matching Models via Online RL, Liu et al. 2025 (arXiv 2505.05470)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field"}


def schedule(field, k):
    """Time t, step dt = t - t' > 0 and noise scale sigma_t = a sqrt(t / (1 - t)) of step k.

    Source: section 4.2; official sd3_sde_with_logprob.py, where 1 - t is read at the second level for t = 1.
    """
    t, after = field.grid[k], field.grid[k + 1]
    return t, t - after, field.noise_level * jnp.sqrt(t / (1.0 - jnp.where(t == 1.0, field.grid[1], t)))


def sde_mean(velocity, x, t, dt, sigma):
    """Mean of one Euler-Maruyama step towards the data, x and velocity (B, d).

    mu = x - [v + sigma_t^2 / 2t (x + (1 - t) v)] dt. Source: section 4.2, the update rule.
    """
    return x - (velocity + sigma**2 / (2.0 * t) * (x + (1.0 - t) * velocity)) * dt


def actor_loss(models, batch, key, *, clip, anchor_weight, log_prob_reduction):
    """Clipped policy gradient of every SDE step, with the divergence from the pre-trained model.

    L = mean_{k,i} max(-A r_k, -A clip(r_k, 1 +- eps)) + beta KL_k, r_k = p_theta(x' | x, s) / p_old(x' | x, s),
    KL_k = dt / 2 (sigma_t (1 - t) / 2t + 1 / sigma_t)^2 |v_theta - v_ref|^2. Source: sections 4.1 and 4.2.
    batch.chain (K+1, B, d) drawn by models.old; batch.advantage (B,) standardised in the group of a context;
    models.behaviour is the pre-trained model.
    """
    reduce = jnp.mean if log_prob_reduction == "mean" else jnp.sum
    losses, pulls = [], []
    for k in range(batch.chain.shape[0] - 1):
        x, following = batch.chain[k], batch.chain[k + 1]
        t, dt, sigma = schedule(models.old, k)
        level = jnp.full(x.shape[:-1], t)
        v, v_old, v_ref = (m.velocity(x, level, batch.s) for m in (models.actor, models.old, models.behaviour))
        miss, miss_old = ((following - sde_mean(u, x, t, dt, sigma)) ** 2 for u in (v, jax.lax.stop_gradient(v_old)))
        ratio = jnp.exp(reduce((miss_old - miss) / (2.0 * sigma**2 * dt), axis=-1))
        clipped = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
        losses.append(jnp.maximum(-batch.advantage * ratio, -batch.advantage * clipped))
        factor = 0.5 * dt * (sigma * (1.0 - t) / (2.0 * t) + 1.0 / sigma) ** 2
        pulls.append(factor * reduce((v - jax.lax.stop_gradient(v_ref)) ** 2, axis=-1))
    policy, kl = jnp.mean(jnp.stack(losses)), jnp.mean(jnp.stack(pulls))
    return policy + anchor_weight * kl, {"policy": policy, "kl": kl}


def act(models, s, key):
    """One sample of the SDE, as in training."""
    field = models.actor
    keys = jax.random.split(key, field.grid.shape[0])
    x = jax.random.normal(keys[-1], (*s.shape[:-1], field.dim))
    for k in range(field.grid.shape[0] - 1):
        t, dt, sigma = schedule(field, k)
        mean = sde_mean(field.velocity(x, jnp.full(x.shape[:-1], t), s), x, t, dt, sigma)
        x = mean + sigma * jnp.sqrt(dt) * jax.random.normal(keys[k], x.shape)
    return x if field.box is None else jnp.clip(x, -field.box, field.box)
