"""Auditing a Flax loss: hand it the laboratory's field in the place of `apply_fn`, and the batch under its own keys."""

import jax.numpy as jnp


def my_loss(params, apply_fn, batch):
    """A loss as it stands in a training script: denoising with the weight max(1 + A / temperature, 0)."""
    prediction = apply_fn(params, batch["x"], batch["t"], batch["obs"])
    weight = jnp.maximum(1.0 + batch["advantage"] / batch["temperature"], 0.0)
    return jnp.mean(weight * jnp.mean((prediction - batch["eps"]) ** 2, axis=-1))


def loss(eps_fn, x_t, t, s, noise, advantage, temperature):
    """The same loss for the audit. Parameters live inside `eps_fn`, so that `params` is not used."""
    batch = {"x": x_t, "t": t, "obs": s, "eps": noise, "advantage": advantage, "temperature": temperature}
    return my_loss(None, lambda params, x, t, s: eps_fn(x, t, s), batch)
