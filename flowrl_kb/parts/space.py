"""Where a pathwise penalty compares the policy with its reference. Mechanism axis `space`."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flowrl_kb.parts.direction import forward
from flowrl_kb.parts.loss_space import eps as unit_weight
from flowrl_kb.parts.reference import Reference
from flowrl_kb.parts.step import chain_divergence, kernel_divergence
from flowrl_kb.parts.types import Array, Batch, Key, Models


def denoising_error(field, draws, s: Array, weight=unit_weight, *, error_max=None) -> Array:
    """w(t) |eps_theta(x_t) - eps|^2 of each draw, summed over action dimensions: (K, B).

    The square of each dimension is cut at `error_max`, above which nothing is differentiated. Source: flow-rl dpmd.py.
    """
    residual = field.eps(draws.x, draws.t, s) - draws.eps
    scale, square = weight(field.path, draws.t), jnp.square(residual)
    return scale * jnp.sum(square if error_max is None else jnp.minimum(square, error_max), axis=-1)


def level_weight(path, t: Array, *, sigma_power) -> Array:
    """sigma^p: what the score of a noised copy counts at level t."""
    return path.sigma(t) ** sigma_power


def action(
    divergence: str | None, reference: Reference, produced, models: Models, batch: Batch, key: Key, weight=unit_weight
) -> Array:
    """Divergences of the law of the final action, each averaged over the batch.

    reverse-kl: E[log pi(a)] against a flat reference; forward-kl: denoising error (or negative log-density, where the
    policy has one) on reference samples, averaged over dimensions; squared-distance: mean square distance of produced
    to reference actions (needs a deterministic policy); potential: denoising error of the reference's field on produced
    actions, with the time weight of its own training, averaged over dimensions; noised-density: a function of the
    produced action whose gradient is w(t) (eps_nu(x_t) - eps), which is w sigma / alpha times that of -log nu_t(x_t).
    """
    if divergence is None:
        return jnp.zeros(())
    if divergence == "reverse-kl":
        return jnp.mean(produced.log_prob)
    if divergence == "potential":
        field = reference.field(models)
        draws = forward(field, produced.a[None], key, 1, None)
        return jnp.mean(denoising_error(field, draws, batch.s, weight)) / produced.a.shape[-1]
    if divergence == "noised-density":
        field = reference.field(models)
        draws = forward(field, produced.a[None], key, 1, None)
        push = weight(field.path, draws.t)[..., None] * (field.eps(draws.x, draws.t, batch.s) - draws.eps)
        return jnp.mean(jnp.sum(jax.lax.stop_gradient(push[0]) * produced.a, axis=-1))
    k_actions, k_noise = jax.random.split(key)
    samples = reference.actions(models, batch, k_actions)
    if divergence == "forward-kl" and hasattr(models.actor, "log_prob"):
        return -jnp.mean(models.actor.log_prob(batch.s, samples)) / samples.shape[-1]
    if divergence == "forward-kl":
        draws = forward(models.actor, samples[None], k_noise, 1, None)
        return jnp.mean(denoising_error(models.actor, draws, batch.s)) / samples.shape[-1]
    return jnp.mean(jnp.square(produced.a - samples))


def path(divergence: str | None, reference: Reference, produced, models: Models, batch: Batch, key: Key) -> Array:
    """Reverse KL of the policy's chain to the reference's, averaged over the batch.

    A flat reference: the mean log ratio to the noising chain (`likelihood.noising_ratio`). Else the divergence of the
    kernels from those of the reference's field, at the one step that was taken for each state or summed over its chain.
    """
    if divergence is None:
        return jnp.zeros(())
    if produced.log_prob is not None:
        return jnp.mean(produced.log_prob)
    if produced.chain is not None:
        return jnp.mean(chain_divergence(models.actor, reference.field(models), produced.chain, batch.s))
    step = produced.step
    return jnp.mean(kernel_divergence(models.actor, reference.field(models), step.x, step.k, batch.s))


def latent(divergence: str | None, reference: Reference, produced, models: Models, batch: Batch, key: Key) -> Array:
    """Reverse KL of the law of a generator's noise to a flat one: the mean log-density of the noises."""
    return jnp.zeros(()) if divergence is None else jnp.mean(produced.log_prob)


def residual(divergence: str | None, reference: Reference, produced, models: Models, batch: Batch, key: Key) -> Array:
    """The same of the law of what is added to a generator's action."""
    return latent(divergence, reference, produced, models, batch, key)


def coupled_map(divergence: str, reference: Reference, produced, models: Models, batch: Batch, key: Key) -> Array:
    """Mean squared distance between the two maps at the same noise: E_z |f_theta(z) - g(z)|^2 / d."""
    anchor = jax.lax.stop_gradient(reference.coupled(models, batch.s, produced.z))
    return jnp.mean(jnp.square(produced.a - anchor))
