"""AWM: Advantage Weighted Matching, Xue et al. 2025 (arXiv 2509.25050)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field"}


def log_likelihood(velocity, noise, a):
    """-mean_j |v_j - (eps_j - a)|^2 / d of each action (B,): the bound on log p with w(t) = 1.

    Source: official compute_log_prob_awm, weighting Uniform, and loss_type sum_first. velocity and
    noise (N, B, d), a (B, d).
    """
    return jnp.mean(-jnp.mean((velocity - (noise - a)) ** 2, axis=-1), axis=0)


def actor_loss(models, batch, key, *, clip, anchor_weight):
    """Clipped policy gradient of the flow-matching likelihood, and a velocity distance from the pre-trained model.

    L = mean max(-A r, -A clip(r, 1 +- eps)) + beta mean |v_theta - v_ref|^2 / d, r = exp(log p_theta - log p_old) at
    x_t = (1 - t) a + t eps. Source: official scripts/train_sd3_awm.py, loss_type sum_first, kl_weight Uniform.
    batch.a (B, d) drawn by models.old, batch.pair_t (N, B), batch.pair_eps (N, B, d), batch.advantage (B,);
    models.behaviour is the pre-trained model.
    """
    t, noise = batch.pair_t, batch.pair_eps
    noised = (1 - t[..., None]) * batch.a + t[..., None] * noise
    velocity = models.actor.velocity(noised, t, batch.s)
    old = log_likelihood(models.old.velocity(noised, t, batch.s), noise, batch.a)
    ratio = jnp.exp(log_likelihood(velocity, noise, batch.a) - jax.lax.stop_gradient(old))
    unclipped = -batch.advantage * ratio
    policy = jnp.mean(jnp.maximum(unclipped, -batch.advantage * jnp.clip(ratio, 1 - clip, 1 + clip)))
    before = jax.lax.stop_gradient(models.behaviour.velocity(noised, t, batch.s))
    kl = jnp.mean((velocity - before) ** 2)
    return policy + anchor_weight * kl, {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip), "kl": kl}


def act(models, s, key):
    """Euler integration of the velocity from Gaussian noise: one of the samplers that the method leaves free."""
    field = models.actor
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))
    for now, then in zip(field.grid[:-1], field.grid[1:], strict=True):
        x = x + (then - now) * field.velocity(x, jnp.full(x.shape[:-1], now), s)
    return x if field.box is None else jnp.clip(x, -field.box, field.box)
