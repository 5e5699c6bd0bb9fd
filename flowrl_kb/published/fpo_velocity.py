"""FPO with output mode u of the official code (akanazawa/fpo, 418c255): the error is that of the velocity."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.fpo import act, value_loss

__all__ = ["TRAINS", "act", "actor_loss", "value_loss"]

TRAINS = {"actor": "field", "value": "value"}


def velocity_loss(field, s, a, t, eps):
    """Loss (N, B) of each stored pair: mean over d of (v(x_t, t) - (eps - a))^2 at x_t = t eps + (1 - t) a.

    Source: official fpo.py, _compute_cfm_loss with output_mode u. t (N, B), eps (N, B, d), a (B, d).
    """
    level = t[..., None]
    miss = field.velocity(level * eps + (1.0 - level) * a, t, s) - (eps - a)
    return jnp.mean(miss**2, axis=-1)


def actor_loss(models, batch, key, *, clip):
    """The clipped surrogate of one ratio for each action, made of velocity errors.

    L = -E min(r A, clip(r, 1 +- eps) A), r = exp(mean_j l_old,j - mean_j l_theta,j). Source: official fpo.py,
    _compute_fpo_loss with average_losses_before_exp. batch.a (B, d) drawn by models.old, batch.pair_t (N, B),
    batch.pair_eps (N, B, d), batch.advantage (B,).
    """
    pairs = (batch.s, batch.a, batch.pair_t, batch.pair_eps)
    drop = jax.lax.stop_gradient(velocity_loss(models.old, *pairs)) - velocity_loss(models.actor, *pairs)
    ratio = jnp.exp(jnp.mean(drop, axis=0))
    surrogate = jnp.minimum(ratio * batch.advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * batch.advantage)
    return -jnp.mean(surrogate), {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip)}
