"""iDEM: Iterated Denoising Energy Matching for Sampling from Boltzmann Densities, Akhound-Sadegh et al. 2024
(arXiv 2402.06121), in the form that RL code uses: energy -Q / lambda, replay actions, a noise network."""

from functools import reduce

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def log_mean_exp(critic, x, alpha, sigma, noises, s, temperature, box):
    """log (1/K) sum_k exp(min_i Qbar_i(s, a_k) / lambda), a_k = (x - sigma n_k) / alpha: a scalar.

    x (d,), noises (K, d). With a box the value and its slope are read at the clipped candidate.
    """
    a = (x - sigma * noises) / alpha
    if box is not None:
        a = a + jax.lax.stop_gradient(jnp.clip(a, -box, box) - a)
    q = reduce(jnp.minimum, critic(jnp.broadcast_to(s, (*a.shape[:-1], *s.shape)), a))
    return jax.nn.logsumexp(q / temperature) - jnp.log(noises.shape[0])


def actor_loss(models, batch, key, *, temperature, candidates, box=None):
    """Regression of the field on the gradient of a Monte-Carlo estimate of the noised energy.

    L = E |eps_theta(x_t, t, s) + sigma_t grad_x log (1/K) sum_k exp(Q(a_k) / lambda)|^2, with a_k as in
    `log_mean_exp`, x_t a noised replay action, candidates = K. Source: the estimator of the paper with
    score = -eps / sigma; official score_estimator.py (alpha = 1); MaxEntDP max_entropy_learner.py, iDEM.
    """
    k_time, k_forward, k_reverse = jax.random.split(key, 3)
    field, (size, d) = models.actor, batch.a.shape
    t = field.path.sample_t(k_time, (size,))
    alpha, sigma = field.path.alpha(t), field.path.sigma(t)
    x = alpha[:, None] * batch.a + sigma[:, None] * jax.random.normal(k_forward, (size, d))
    noises = jax.random.normal(k_reverse, (size, candidates, d))
    slope = jax.vmap(jax.grad(log_mean_exp, argnums=1), in_axes=(None, 0, 0, 0, 0, 0, None, None))
    score = slope(models.target_critic, x, alpha, sigma, noises, batch.s, temperature, box)
    gap = field.eps(x, t, batch.s) + jax.lax.stop_gradient(sigma[:, None] * score)
    return jnp.mean(jnp.sum(gap**2, axis=-1)), {"score": jnp.mean(jnp.abs(score))}


def critic_loss(models, batch, key, *, discount):
    """Clipped double-Q regression with one policy action at the next state; no entropy term."""
    bootstrap = models.target_critic(batch.next_s, models.actor.sample(key, batch.next_s)).min(axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * bootstrap)
    return sum(jnp.mean((q - target) ** 2) for q in models.critic(batch.s, batch.a)), {}


def act(models, s, key, *, noise_std, box=None):
    """One policy action plus Gaussian exploration noise."""
    k_sample, k_noise = jax.random.split(key)
    a = models.actor.sample(k_sample, s)
    a = a + noise_std * jax.random.normal(k_noise, a.shape)
    return a if box is None else jnp.clip(a, -box, box)
