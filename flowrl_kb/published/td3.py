"""TD3: Addressing Function Approximation Error in Actor-Critic Methods, Fujimoto et al. 2018 (arXiv 1802.09477)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "deterministic", "critic": "critic"}


def actor_loss(models, batch, key, *, box=None):
    """Deterministic policy gradient of the first critic: L = -E Q_1(s, pi(s)).

    Source: Algorithm 1; official TD3.py. batch.s (B, ds) are replayed states.
    """
    a = models.actor.mean(batch.s)
    a = a if box is None else jnp.clip(a, -box, box)
    return -jnp.mean(models.critic(batch.s, a)[0]), {}


def critic_loss(models, batch, key, *, discount, backup_noise_std, backup_noise_clip, box=None):
    """Clipped double-Q regression with target policy smoothing, summed over the heads.

    y = r + gamma min_i Qbar_i(s', clip(pibar(s') + clip(xi, -c, c))), xi ~ N(0, varsigma^2); backup_noise_std =
    varsigma, backup_noise_clip = c, pibar the averaged actor. Source: Algorithm 1; official TD3.py.
    """
    xi = jnp.clip(backup_noise_std * jax.random.normal(key, batch.a.shape), -backup_noise_clip, backup_noise_clip)
    next_a = models.target_actor.mean(batch.next_s) + xi
    next_a = next_a if box is None else jnp.clip(next_a, -box, box)
    y = batch.reward + discount * batch.not_done * jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    error = models.critic(batch.s, batch.a) - jax.lax.stop_gradient(y)
    return jnp.sum(jnp.mean(error**2, axis=-1)), {}


def act(models, s, key, *, noise_std, box=None):
    """The policy's action plus Gaussian noise of standard deviation `noise_std`. Source: Algorithm 1."""
    a = models.actor.mean(s)
    a = a + noise_std * jax.random.normal(key, a.shape)
    return a if box is None else jnp.clip(a, -box, box)
