"""IDQL: Implicit Q-Learning as an Actor-Critic Method with Diffusion Policies, Hansen-Estruch et al. 2023
(arXiv 2304.10573)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic", "value": "value"}


def actor_loss(models, batch, key):
    """Plain denoising of the data's actions; no value enters.

    L = E |eps_theta(alpha a + sigma eps, t, s) - eps|^2, summed over action dimensions. Source: section 4.2 and
    Algorithm 1; official ddpm_iql_learner.py with actor_objective = bc.
    """
    k_time, k_noise = jax.random.split(key)
    t = models.actor.path.sample_t(k_time, batch.a.shape[:1])
    eps = jax.random.normal(k_noise, batch.a.shape)
    noisy = models.actor.path.alpha(t)[:, None] * batch.a + models.actor.path.sigma(t)[:, None] * eps
    return jnp.mean(jnp.sum((models.actor.eps(noisy, t, batch.s) - eps) ** 2, axis=-1)), {}


def value_loss(models, batch, key, *, expectile):
    """Expectile regression |tau - 1[u < 0]| u^2, u = min_i Qbar_i(s, a) - V(s). Source: eq. 5."""
    u = jax.lax.stop_gradient(jnp.min(models.target_critic(batch.s, batch.a), axis=0)) - models.value(batch.s)
    return jnp.mean(jnp.where(u > 0, expectile, 1.0 - expectile) * u**2), {}


def critic_loss(models, batch, key, *, discount):
    """Regression of every head on r + gamma V(s'). Source: eq. 6."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    return jnp.sum(jnp.mean((models.critic(batch.s, batch.a) - target) ** 2, axis=-1)), {}


def act(models, s, key, *, best_of):
    """The candidate of largest min-Q among `best_of` samples of the cloned policy. Source: Algorithm 2, greedy."""
    a = models.actor.sample(key, s, (best_of,))
    q = jnp.min(models.target_critic(s, a), axis=0)
    return jnp.take_along_axis(a, jnp.argmax(q, axis=0)[None, ..., None], axis=0)[0]
