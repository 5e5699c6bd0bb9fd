"""A loss to audit: weights from Q at denoised candidates, written against plain callables."""

import jax
import jax.numpy as jnp


def loss(eps_fn, q_fn, sample_fn, alpha_t, sigma_t, t, s, noise, rng, temperature, candidates):
    """Half the squared distance of the predicted noise from each candidate's, in the candidates' softmax weights."""
    k_act, k_guess = jax.random.split(rng)
    noisy = alpha_t * sample_fn(k_act, s) + sigma_t * noise
    noisy = jax.lax.stop_gradient(noisy)
    prediction = eps_fn(noisy, t, s)
    total, normaliser = 0.0, 0.0
    for k in jax.random.split(k_guess, candidates):
        guess_noise = jax.random.normal(k, noisy.shape)
        score = q_fn(s, (noisy - sigma_t * guess_noise) / alpha_t) / temperature
        weight = jnp.exp(jax.lax.stop_gradient(score) - 4.0)
        total += weight * jnp.mean((prediction - guess_noise) ** 2, axis=-1)
        normaliser += weight
    return 0.5 * jnp.mean(total / normaliser)
