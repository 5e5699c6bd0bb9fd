"""FPO with a ratio for each stored pair: akanazawa/fpo (418c255), average_losses_before_exp = False."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.fpo import act, flow_matching_loss, value_loss

__all__ = ["TRAINS", "act", "actor_loss", "value_loss"]

TRAINS = {"actor": "field", "value": "value"}


def actor_loss(models, batch, key, *, clip, log_ratio_clip):
    """The clipped surrogate of one ratio for each (action, pair), averaged over both.

    L = -E mean_j min(r_j A, clip(r_j, 1 +- eps) A), r_j = exp(clip(l_old,j - l_theta,j, -c, c)); beyond c =
    log_ratio_clip nothing is differentiated. Source: official fpo.py, _compute_fpo_loss. batch.a (B, d) drawn by
    models.old, batch.pair_t (N, B), batch.pair_eps (N, B, d), batch.advantage (B,).
    """
    pairs = (batch.s, batch.a, batch.pair_t, batch.pair_eps)
    before = jax.lax.stop_gradient(flow_matching_loss(models.old, *pairs))
    ratio = jnp.exp(jnp.clip(before - flow_matching_loss(models.actor, *pairs), -log_ratio_clip, log_ratio_clip))
    surrogate = jnp.minimum(ratio * batch.advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * batch.advantage)
    return -jnp.mean(surrogate), {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip)}
