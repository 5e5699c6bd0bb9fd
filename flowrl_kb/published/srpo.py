"""SRPO: Score Regularized Policy Optimization through Diffusion Behavior, Chen et al. 2023 (arXiv 2310.07297)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "deterministic", "behaviour": "field", "critic": "critic", "value": "value"}


def actor_loss(models, batch, key, *, q_weight, sigma_power):
    """Point policy whose action follows beta grad Q and the noise that the cloned model finds beside the added one.

    grad L = E [sigma_t^p (eps_mu(x_t, t, s) - eps) - beta grad_a (Qbar_1 + Qbar_2) / 2] . da, x_t = alpha_t a + sigma_t
    eps; the bracket is a constant. q_weight = beta, sigma_power = p. Source: official SRPO.py, update_SRPO_policy.
    batch.s (B, ds).
    """
    a = models.actor.mean(batch.s)
    here = jax.lax.stop_gradient(a)
    k_level, k_noise = jax.random.split(key)
    path = models.behaviour.path
    t = path.sample_t(k_level, here.shape[:1])
    eps = jax.random.normal(k_noise, here.shape)
    sigma = path.sigma(t)[:, None]
    found = models.behaviour.eps(path.alpha(t)[:, None] * here + sigma * eps, t, batch.s)
    value = lambda a, s: 0.5 * jnp.sum(models.target_critic(s, a))  # noqa: E731
    climb = jax.vmap(jax.grad(value))(here, batch.s)
    bracket = jax.lax.stop_gradient(sigma**sigma_power * (found - eps) - q_weight * climb)
    return jnp.mean(jnp.sum(bracket * a, axis=-1)), {"climb": jnp.mean(jnp.linalg.norm(climb, axis=-1))}


def behaviour_loss(models, batch, key):
    """Denoising of data actions, summed over dimensions. Source: official update_behavior."""
    k_level, k_noise = jax.random.split(key)
    field = models.behaviour
    t = field.path.sample_t(k_level, batch.a.shape[:1])
    z = jax.random.normal(k_noise, batch.a.shape)
    noisy = batch.a * field.path.alpha(t)[:, None] + z * field.path.sigma(t)[:, None]
    return jnp.mean(jnp.sum((field.eps(noisy, t, batch.s) - z) ** 2, axis=-1)), {}


def value_loss(models, batch, key, *, expectile):
    """Expectile regression |tau - 1[u < 0]| u^2, u = min_i Qbar_i(s, a) - V(s). Source: official update_q0."""
    u = jax.lax.stop_gradient(jnp.min(models.target_critic(batch.s, batch.a), axis=0)) - models.value(batch.s)
    return jnp.mean(jnp.abs(expectile - (u < 0)) * u**2), {}


def critic_loss(models, batch, key, *, discount):
    """Mean over both heads of the squared error to r + gamma V(s'). Source: official update_q0."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {}


def act(models, s, key):
    """The action of the policy. Source: official train_policy.py, select_actions."""
    return models.actor.mean(s)
