"""AWR: Advantage-Weighted Regression, Peng, Kumar, Zhang and Levine 2019 (arXiv 1910.00177)."""

import jax
import jax.numpy as jnp

TRAINS = {"value": "value", "actor": "gaussian"}


def value_loss(models, batch, key):
    """1/2 E (R - V(s))^2, R the TD(lambda) return of the stored trajectory. Source: Algorithm 1; official critic loss.

    batch.returns (B,).
    """
    return 0.5 * jnp.mean((batch.returns - models.value(batch.s)) ** 2), {}


def actor_loss(models, batch, key, *, temperature, weight_clip):
    """Log-likelihood of stored actions, weighted by min(exp((R - V(s)) / beta), w_max), beta = temperature.

    L = -E w log pi(a|s), w constant. Source: Algorithm 1; the cut: official _calc_adv_weights. batch.a (B, d),
    batch.returns (B,).
    """
    gain = batch.returns - models.value(batch.s)
    w = jax.lax.stop_gradient(jnp.minimum(jnp.exp(gain / temperature), weight_clip))
    return -jnp.mean(w * models.actor.log_prob(batch.s, batch.a)), {"cut": jnp.mean(w >= weight_clip)}


def act(models, s, key):
    """One action of the Gaussian, as trajectories are collected. Source: official sample_action."""
    return models.actor.sample(key, s)
