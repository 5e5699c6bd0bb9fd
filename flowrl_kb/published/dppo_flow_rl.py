"""DPPO in typoverflow/flow-rl (bae22f4), flowrl/agent/online/dppo.py: sums are clamped and the last step is scored as
if it had been noisy.

Left out: the source clips denoised actions to the box when it draws them and not when it scores them; here both do.
Episodes that are cut off bootstrap there from the value of their last state (compute_gae of ppo.py).
"""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "value": "value"}


def transition(field, x, k, s):
    """Mean (B, d) and deviation sqrt(beta) of denoising step k from x (B, d), on a variance-preserving path.

    mean = sqrt(a_u) beta / (1 - a_t) x0 + sqrt(a_t / a_u) (1 - a_u) / (1 - a_t) x, beta = 1 - a_t / a_u, a the squared
    share of signal at a level, u the level behind t. Source: flow/continuous_ddpm.py, solver ddpm.
    """
    t = field.grid[k]
    kept, left = field.path.alpha(t) ** 2, field.path.alpha(field.grid[k + 1]) ** 2
    clean = (x - jnp.sqrt(1.0 - kept) * field.eps(x, jnp.full(x.shape[:-1], t), s)) / jnp.sqrt(kept)
    if field.box is not None:
        clean = jnp.clip(clean, -field.box, field.box)
    beta = 1.0 - kept / left
    mean = (jnp.sqrt(left) * beta * clean + jnp.sqrt(kept / left) * (1.0 - left) * x) / (1.0 - kept)
    return mean, jnp.sqrt(beta)


def log_likelihood(field, chain, s, bounds):
    """Log-density (K, B) of each transition of a chain (K+1, B, d), summed over d and then cut to the bounds.

    The deviation is max(sqrt(beta), sigma_min) in every step, also in the last one, which was drawn without noise.
    Source: jit_compute_chain_log_probs; sigma_min = field.min_std.
    """
    rows = []
    for k in range(chain.shape[0] - 1):
        mean, std = transition(field, chain[k], k, s)
        std, dim = jnp.maximum(std, field.min_std), chain.shape[-1]
        squares = jnp.sum((chain[k + 1] - mean) ** 2, axis=-1) / std**2
        total = -0.5 * squares - dim * (jnp.log(std) + 0.5 * jnp.log(2.0 * jnp.pi))
        rows.append(jnp.minimum(jnp.maximum(total, bounds[0]), bounds[1]))
    return jnp.stack(rows)


def actor_loss(models, batch, key, *, clip, denoising_discount, log_prob_clamp):
    """One clipped ratio for each denoising step, all of one width.

    L = -mean min(A_k rho_k, A_k clip(rho_k, 1 +- eps)), A_k = gamma_dn^(K-1-k) A(s, a), rho_k the ratio of the clamped
    transition densities of step k. Source: jit_update_dppo, actor_loss_fn. batch.chain (K+1, B, d) drawn by models.old,
    batch.advantage (B,); clip = eps.
    """
    new = log_likelihood(models.actor, batch.chain, batch.s, log_prob_clamp)
    old = jax.lax.stop_gradient(log_likelihood(models.old, batch.chain, batch.s, log_prob_clamp))
    ratio, total = jnp.exp(new - old), 0.0
    for later, rho in enumerate(ratio[::-1]):
        advantage = denoising_discount**later * batch.advantage
        total = total + jnp.mean(jnp.minimum(advantage * rho, advantage * jnp.clip(rho, 1.0 - clip, 1.0 + clip)))
    return -total / len(ratio), {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip)}


def value_loss(models, batch, key, *, value_weight, value_clip):
    """c_V E max{(V - R)^2, (V_c - R)^2}, V_c the value cut to [V_old - c, V_old + c].

    Source: jit_update_dppo, critic_loss_fn, and clipped_value_loss of ppo.py. V_old = models.target_value, the value at
    the roll-out; batch.returns (B,) = R; value_weight = c_V; value_clip = c, in the source the width of the ratio clip.
    """
    value, old = models.value(batch.s), jax.lax.stop_gradient(models.target_value(batch.s))
    near = jnp.minimum(jnp.maximum(value, old - value_clip), old + value_clip)
    errors = jnp.stack([value, near]) - batch.returns
    return value_weight * jnp.mean(jnp.max(errors**2, axis=0)), {"clipped": jnp.mean(jnp.abs(value - old) > value_clip)}


def act(models, s, key):
    """One sample of the chain, whose last step has no noise. Source: jit_sample_actions."""
    field = models.actor
    keys = jax.random.split(key, field.grid.shape[0])
    x = jax.random.normal(keys[-1], (*s.shape[:-1], field.dim))
    for k in range(field.grid.shape[0] - 2):
        mean, std = transition(field, x, k, s)
        x = mean + std * jax.random.normal(keys[k], x.shape)
    return transition(field, x, field.grid.shape[0] - 2, s)[0]
