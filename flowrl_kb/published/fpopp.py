"""FPO++: Flow Policy Gradients for Robot Control, Yi et al. 2026 (arXiv 2602.02481)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "value": "value"}


def cfm_loss(field, s, a, t, eps, reduction):
    """Squared error (N, B) of the velocity at each stored pair: |v(x_t, t) - (eps - a)|^2, x_t = t eps + (1 - t) a.

    `reduction` divides the sum over d by nothing (sum), its root (root) or itself (mean). Source: eq. 5 and 8 with
    t = 1 - tau; official actor_critic.py, _compute_squared_error. t (N, B), eps (N, B, d), a (B, d).
    """
    x_t = t[..., None] * eps + (1.0 - t[..., None]) * a
    squares = jnp.sum((field.velocity(x_t, t, s) - (eps - a)) ** 2, axis=-1)
    return squares / a.shape[-1] ** {"sum": 0.0, "root": 0.5, "mean": 1.0}[reduction]


def psi_ppo(ratio, advantage, clip):
    """min(rho A, clip(rho, 1 +- eps) A). Source: eq. 1."""
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage)


def psi_spo(ratio, advantage, clip):
    """rho A - |A| / (2 eps) (rho - 1)^2. Source: eq. 11."""
    return ratio * advantage - jnp.abs(advantage) / (2.0 * clip) * (ratio - 1.0) ** 2


def actor_loss(models, batch, key, *, clip, log_prob_reduction, log_ratio_max):
    """Asymmetric trust region on one ratio for each pair.

    L = -E sum_j psi(rho_j, A), rho_j = exp(min(l_old,j - l_theta,j, m)), psi = psi_ppo where A >= 0 and psi_spo where
    A < 0; above m the exponent is held at m and keeps its gradient. Source: eq. 10, 12, 13; appendix C.2 and official
    clamp_ste for m = log_ratio_max. batch.a (B, d) drawn by models.old, batch.pair_t (N, B), batch.pair_eps (N, B, d),
    batch.advantage (B,).
    """
    pairs = (batch.s, batch.a, batch.pair_t, batch.pair_eps, log_prob_reduction)
    before = jax.lax.stop_gradient(cfm_loss(models.old, *pairs))
    difference = before - cfm_loss(models.actor, *pairs)
    excess = jnp.maximum(difference - log_ratio_max, 0.0)
    ratio = jnp.exp(difference - jax.lax.stop_gradient(excess))
    good = batch.advantage >= 0.0
    psi = jnp.where(good, psi_ppo(ratio, batch.advantage, clip), psi_spo(ratio, batch.advantage, clip))
    return -jnp.mean(jnp.sum(psi, axis=0)), {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip)}


def value_loss(models, batch, key, *, value_weight):
    """c_V E (R - V(s))^2. Source: official algorithms/fpo.py. batch.returns (B,) = R."""
    return value_weight * jnp.mean((batch.returns - models.value(batch.s)) ** 2), {}


def act(models, s, key):
    """Euler integration of the velocity from Gaussian noise. Source: section III-D, training."""
    field = models.actor
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))
    for k in range(field.grid.shape[0] - 1):
        t = jnp.full(x.shape[:-1], field.grid[k])
        x = x + (field.grid[k + 1] - field.grid[k]) * field.velocity(x, t, s)
    return x if field.box is None else jnp.clip(x, -field.box, field.box)
