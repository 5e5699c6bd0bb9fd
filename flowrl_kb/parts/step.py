"""One reverse step of a chain: where it starts, what a field makes of it, how far its kernel is from another's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.parts.likelihood import REDUCTIONS
from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.reference import Reference
from flowrl_kb.parts.types import Array, Batch, FieldPolicy, Key, Models


class Step(NamedTuple):
    """States x (1, B, d) before step k (1, B), and draws `after` (N, B, d) of the states behind it."""

    x: Array
    k: Array
    after: Array


def take(
    field: Any, models: Models, batch: Batch, key: Key, *, source: Callable, direction: Callable, step_samples
) -> Step:
    """A source action brought to a uniformly drawn level of the grid, and N reparameterised steps of `field` there.

    k ~ U{0..K-1} with 0 the noisiest; gradients pass through the steps and not through their start.
    """
    k_source, k_step, k_direction, k_noise = jax.random.split(key, 4)
    a = source(models, batch, k_source, 1)
    k = jnp.int32((field.grid.shape[0] - 1) * jax.random.uniform(k_step, a.shape[:-1]))
    at_level = replace(field, path=field.path._replace(sample_t=lambda *_: field.grid[k]))
    x = jax.lax.stop_gradient(direction(at_level, a, k_direction, 1, None).x)
    mean, std = field.step(x, k, batch.s)
    return Step(x, k, mean + std * jax.random.normal(k_noise, (step_samples, *mean.shape[1:])))


def kernel_divergence(field: FieldPolicy, other: FieldPolicy, x: Array, k: Array, s: Array) -> Array:
    """KL of the reverse kernels of two fields, both with the variance v of the forward chain between levels t > u.

    (v / 2 sigma_t^2) (alpha_u / alpha_t)^2 |eps - eps'|^2, v = sigma_t^2 - (alpha_t / alpha_u)^2 sigma_u^2; finite at
    the last step too. x (..., B, d), k (..., B) to (..., B). Source: BDPO (2502.04778), the path-wise KL.
    """
    t, u = jnp.broadcast_to(field.grid[k], x.shape[:-1]), field.grid[k + 1]
    (alpha_t, sigma_t), (alpha_u, sigma_u) = coefficients(field.path, t), coefficients(field.path, u)
    explained = (alpha_t * sigma_u / (alpha_u * sigma_t)) ** 2
    apart = jnp.square(field.eps(x, t, s) - other.eps(x, t, s))
    return 0.5 * jnp.sum((1.0 - explained) * (alpha_u / alpha_t) ** 2 * apart, axis=-1)


def chain_divergence(field: FieldPolicy, other: FieldPolicy, chain: Array, s: Array) -> Array:
    """Sum over the steps of a chain (K+1, ..., B, d) of the divergence of two fields' kernels there: (..., B)."""
    k = jnp.expand_dims(jnp.arange(chain.shape[0] - 1), range(1, chain.ndim - 1))
    return jnp.sum(kernel_divergence(field, other, chain[:-1], k, s), axis=0)


def pull_along_chain(models: Models, batch: Batch, *, anchor_weight: float, log_prob_reduction="sum") -> Array:
    """beta E_k KL of the actor's steps from those of a frozen policy on the stored chain, with the sampler's own noise.

    KL_k = |mu_theta - mu_ref|^2 / 2 std_k^2, both means by the sampler of the actor. Source: Flow-GRPO (2505.05470).
    """
    actor = models.actor
    frozen = replace(actor, net=models.behaviour.velocity, prediction="velocity")

    def one(k: Array, x: Array) -> Array:
        (mean, std), (mean_ref, _) = (field.step(x, k, batch.s) for field in (actor, frozen))
        apart = jnp.square((mean - jax.lax.stop_gradient(mean_ref)) / std)
        return 0.5 * REDUCTIONS[log_prob_reduction](apart, -1)

    return anchor_weight * jnp.mean(jax.vmap(one)(jnp.arange(len(batch.chain) - 1), batch.chain[:-1]))


def path_penalty(field: Any, models: Models, s: Array, chain: Array, *, reference: Reference, temperature) -> Array:
    """lambda sum_k KL_k along N chains (K+1, N, B, d) of a field, averaged over them: (B,)."""
    return temperature * jnp.mean(chain_divergence(field, reference.field(models), chain, s), axis=0)
