"""A loss to audit: as SDAC, but the weights are linear in Q and cut at zero."""

import jax
import jax.numpy as jnp


def loss(eps_fn, q_fn, sample_fn, alpha_t, sigma_t, t, obs, noise, rng, temperature, candidates):
    """Denoising regression on reverse candidates, weighted in proportion to max(1 + (Q - mean Q) / temperature, 0)."""
    k_act, k_guess = jax.random.split(rng)
    noisy = jax.lax.stop_gradient(alpha_t * sample_fn(k_act, obs) + sigma_t * noise)
    guesses = jax.random.normal(k_guess, (candidates, *noisy.shape))
    q = q_fn(obs, (noisy - sigma_t * guesses) / alpha_t)
    weight = jax.lax.stop_gradient(jnp.maximum(1.0 + (q - q.mean(axis=0)) / temperature, 0.0))
    distance = jnp.sum((guesses - eps_fn(noisy, t, obs)) ** 2, axis=-1)
    return jnp.mean(jnp.sum(weight * distance, axis=0) / jnp.sum(weight, axis=0))
