"""A loss to audit: weights from Q at denoised candidates, written against plain callables."""

import jax
import jax.numpy as jnp


def loss(eps_fn, q_fn, sample_fn, alpha_t, sigma_t, t, obs, noise, rng, temperature, candidates):
    """Half the squared distance of the predicted noise from the candidates' noises, in exponential weights of Q."""
    k_act, k_guess = jax.random.split(rng)
    noisy = jax.lax.stop_gradient(alpha_t * sample_fn(k_act, obs) + sigma_t * noise)
    guesses = jax.random.normal(k_guess, (candidates, *noisy.shape))
    log_weight = q_fn(obs, (noisy - sigma_t * guesses) / alpha_t) / temperature
    weight = jnp.exp(jax.lax.stop_gradient(log_weight - log_weight.max(axis=0)))
    distance = jnp.mean((guesses - eps_fn(noisy, t, obs)) ** 2, axis=-1)
    return 0.5 * jnp.mean(jnp.sum(weight * distance, axis=0) / jnp.sum(weight, axis=0))
