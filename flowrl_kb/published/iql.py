"""IQL: Offline Reinforcement Learning with Implicit Q-Learning, Kostrikov, Nair and Levine 2021
(arXiv 2110.06169)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "critic": "critic", "value": "value"}


def actor_loss(models, batch, key, *, temperature, weight_clip):
    """Advantage-weighted log-likelihood of the data's actions under a Gaussian policy.

    L = -E min(exp(beta (min_i Qbar_i(s, a) - V(s))), w_max) log pi(a|s), beta = 1 / temperature.
    Source: eq. 7; official actor.py, which adds the cut. batch.a (B, d) are data actions.
    """
    advantage = jnp.min(models.target_critic(batch.s, batch.a), axis=0) - models.value(batch.s)
    w = jax.lax.stop_gradient(jnp.clip(jnp.exp(advantage / temperature), None, weight_clip))
    return -jnp.mean(w * models.actor.log_prob(batch.s, batch.a)), {"cut": jnp.mean(w >= weight_clip)}


def value_loss(models, batch, key, *, expectile):
    """Expectile regression |tau - 1[u < 0]| u^2, u = min_i Qbar_i(s, a) - V(s). Source: eq. 5."""
    q = jax.lax.stop_gradient(models.target_critic(batch.s, batch.a).min(axis=0))
    over, under = jax.nn.relu(q - models.value(batch.s)), jax.nn.relu(models.value(batch.s) - q)
    return jnp.mean(expectile * over**2 + (1.0 - expectile) * under**2), {}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma V(s'). Source: eq. 6."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    first, second = models.critic(batch.s, batch.a)
    return jnp.mean((first - target) ** 2 + (second - target) ** 2), {}


def act(models, s, key):
    """The mean of the policy. Source: official evaluation.py, sampling temperature zero."""
    return models.actor.mean(s)
