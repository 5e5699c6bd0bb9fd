"""A loss to audit: as SDAC, but the weights are linear in Q and cut at zero."""

import jax
import jax.numpy as jnp


def loss(eps_fn, q_fn, sample_fn, alpha_t, sigma_t, t, obs, noise, rng, temperature, candidates):
    """Denoising regression on reverse candidates with weights max(1 + (Q - c) / temperature, 0) of mean one."""
    k_act, k_guess = jax.random.split(rng)
    noisy = jax.lax.stop_gradient(alpha_t * sample_fn(k_act, obs) + sigma_t * noise)
    guesses = jax.random.normal(k_guess, (candidates, *noisy.shape))
    q = q_fn(obs, (noisy - sigma_t * guesses) / alpha_t)
    best, k = -jnp.sort(-q, axis=0), jnp.arange(1, candidates + 1).reshape(-1, *[1] * (q.ndim - 1))
    cut = jnp.max((jnp.cumsum(best, axis=0) - candidates * temperature) / k, axis=0)  # c - temperature
    weight = jax.lax.stop_gradient(jnp.maximum((q - cut) / temperature, 0.0))
    distance = jnp.sum((guesses - eps_fn(noisy, t, obs)) ** 2, axis=-1)
    return jnp.mean(weight * distance)
