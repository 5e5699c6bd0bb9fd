"""FPO: Flow Matching Policy Gradients, McAllister et al. 2025 (arXiv 2507.21053)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "value": "value"}


def flow_matching_loss(field, s, a, t, eps):
    """Loss (N, B) of each stored pair: the velocity's estimate of the noise end, squared error averaged over d.

    x_t = t eps + (1 - t) a, eps_hat = x_t + (1 - t) v(x_t, t). Source: official fpo.py, mode u_but_supervise_as_eps.
    t (N, B), eps (N, B, d), a (B, d).
    """
    x_t = t[..., None] * eps + (1.0 - t[..., None]) * a
    eps_hat = x_t + (1.0 - t[..., None]) * field.velocity(x_t, t, s)
    return jnp.mean((eps - eps_hat) ** 2, axis=-1)


def actor_loss(models, batch, key, *, clip):
    """PPO with the ratio of evidence bounds in place of the likelihood ratio.

    L = -E min(r A, clip(r, 1 +- eps) A), r = exp(mean_j l_old,j - mean_j l_theta,j) over the pairs j that were drawn
    and stored when the action was taken. Source: eq. 11 and Algorithm 1; official fpo.py, average_losses_before_exp.
    batch.a (B, d) drawn by models.old, batch.pair_t (N, B), batch.pair_eps (N, B, d), batch.advantage (B,).
    """
    pairs = (batch.s, batch.a, batch.pair_t, batch.pair_eps)
    before = jax.lax.stop_gradient(jnp.mean(flow_matching_loss(models.old, *pairs), axis=0))
    ratio = jnp.exp(before - jnp.mean(flow_matching_loss(models.actor, *pairs), axis=0))
    clipped = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    surrogate = jnp.where(batch.advantage >= 0, jnp.minimum(ratio, clipped), jnp.maximum(ratio, clipped))
    return -jnp.mean(surrogate * batch.advantage), {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip)}


def value_loss(models, batch, key, *, value_weight):
    """c_V E (R - V(s))^2. Source: official fpo.py. batch.returns (B,) = R."""
    return value_weight * jnp.mean((batch.returns - models.value(batch.s)) ** 2), {}


def act(models, s, key):
    """Euler integration of the velocity from Gaussian noise, without noise on the way. Source: official fpo.py."""
    field = models.actor
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))

    def euler(x, level):
        t_now, t_next = level
        return x + (t_next - t_now) * field.velocity(x, jnp.full(x.shape[:-1], t_now), s), None

    x, _ = jax.lax.scan(euler, x, (field.grid[:-1], field.grid[1:]))
    return x if field.box is None else jnp.clip(x, -field.box, field.box)
