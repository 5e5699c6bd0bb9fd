"""AWM with a ratio for each noise level: scxue/advantage_weighted_matching (12b1397), loss_type exp_first."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.awm import act

__all__ = ["TRAINS", "act", "actor_loss"]

TRAINS = {"actor": "field"}


def matching(velocity, noise, a):
    """-|v_j - (eps_j - a)|^2 / d (N, B), what stands for log p at each pair. Source: compute_log_prob_awm, Uniform."""
    return -jnp.mean((velocity - (noise - a)) ** 2, axis=-1)


def actor_loss(models, batch, key, *, clip, anchor_weight):
    """Clipped policy gradient with N ratios for each action, and a velocity distance from the pre-trained model.

    L = mean_{j,i} max(-A r_j, -A clip(r_j, 1 +- eps)) + beta mean |v_theta - v_ref|^2 / d, r_j = exp(log p_theta,j -
    log p_old,j) at x_j = (1 - t_j) a + t_j eps_j. Source: train_sd3_awm.py, loss_type exp_first with weighting and
    kl_weight Uniform, without its moving average (ema_beta) and its cut of advantages, as the card's own loss. batch.a
    (B, d) drawn by models.old, batch.pair_t (N, B), batch.pair_eps (N, B, d), batch.advantage (B,); models.behaviour is
    the pre-trained model.
    """
    level, noise = batch.pair_t[..., None], batch.pair_eps
    noised = (1.0 - level) * batch.a + level * noise
    fields = (models.actor, models.old, models.behaviour)
    now, then, frozen = (field.velocity(noised, batch.pair_t, batch.s) for field in fields)
    log_ratio = matching(now, noise, batch.a) - jax.lax.stop_gradient(matching(then, noise, batch.a))
    ratio = jnp.exp(log_ratio)
    signed = -batch.advantage
    policy = jnp.mean(jnp.maximum(signed * ratio, signed * jnp.clip(ratio, 1.0 - clip, 1.0 + clip)))
    kl = jnp.mean((now - jax.lax.stop_gradient(frozen)) ** 2)
    return policy + anchor_weight * kl, {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip), "kl": kl}
