"""PPO: Proximal Policy Optimization Algorithms, Schulman et al. 2017 (arXiv 1707.06347)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "value": "value"}


def actor_loss(models, batch, key, *, clip, entropy_weight):
    """The negative of the clipped surrogate with an entropy bonus.

    L = -E[min(r A, clip(r, 1 - eps, 1 + eps) A)] - c_2 E S[pi_theta](s), r = pi_theta(a|s) / pi_old(a|s).
    Source: eq. 7 and the policy terms of eq. 9. batch.a (B, d) drawn by models.old; batch.advantage (B,), standardised
    by the roll-out loop where the card says so; clip = eps, entropy_weight = c_2.
    """
    ratio = jnp.exp(models.actor.log_prob(batch.s, batch.a) - models.old.log_prob(batch.s, batch.a))
    pessimistic = jnp.minimum(ratio * batch.advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * batch.advantage)
    bonus = entropy_weight * jnp.mean(models.actor.entropy(batch.s))
    return -jnp.mean(pessimistic) - bonus, {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip)}


def value_loss(models, batch, key, *, value_weight):
    """c_1 E (V(s) - V_target)^2, not clipped. Source: eq. 9. value_weight = c_1; batch.returns (B,) = V_target."""
    return value_weight * jnp.mean((models.value(batch.s) - jax.lax.stop_gradient(batch.returns)) ** 2), {}


def act(models, s, key):
    """One sample of the Gaussian."""
    return models.actor.sample(key, s)
