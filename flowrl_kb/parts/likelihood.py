"""What stands for the log-probability. Mechanism axis `likelihood`.

Each function returns log ratios to the previous policy, (K, B) with K the number of separate ratios for each action;
`noising_ratio` returns fresh actions with what stands for their log-density, `kernel_density` the gradient of an
estimate of it.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from flowrl_kb.errors import unknown
from flowrl_kb.parts import loss_space as loss_spaces
from flowrl_kb.parts import sampler as samplers
from flowrl_kb.parts.path import forward
from flowrl_kb.parts.types import Array, Batch, FieldPolicy, Key, MapPolicy, Models

REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": jnp.sum,
    "mean": jnp.mean,
    "root": lambda x, axis: jnp.sum(x, axis) / x.shape[axis] ** 0.5,
}
"""How log-densities, or the losses in their place, are reduced over action dimensions."""


def closed_form(policy, key: Key, s: Array) -> tuple[Array, Array]:
    """A fresh action with its exact log-density, of a policy that knows it."""
    return policy.sample_with_log_prob(key, s)


def exact_gaussian(models: Models, batch: Batch) -> Array:
    """log pi(a) - log pi_old(a) of a Gaussian policy."""
    old = models.old.log_prob(batch.s, batch.a)
    return (models.actor.log_prob(batch.s, batch.a) - jax.lax.stop_gradient(old))[None]


def _log_normal(x: Array, mean: Array, std: Array) -> Array:
    return jnp.sum(-0.5 * jnp.square((x - mean) / std) - 0.5 * jnp.log(2.0 * jnp.pi * jnp.square(std)), axis=-1)


def noising_ratio(field: FieldPolicy, key: Key, s: Array) -> tuple[Array, Array]:
    """A fresh action (B, d) and the log-density (B,) of its chain over that of the noising chain back to its start.

    log N(x_K; 0, I) + sum_k log pi(x_u | x_t) - log q(x_t | x_u), which in expectation is at least log pi(a|s);
    gradients pass through the chain. Source: DIME (2502.02316), the entropy bound.
    """
    chain, k = field.chain(key, s), jnp.arange(len(field.grid) - 1)
    noised = jax.vmap(lambda k, x, before: _log_normal(before, *samplers.noising(field, x, k)))
    start = _log_normal(chain[0], jnp.zeros(()), samplers.start(field, jnp.ones(())))
    steps = _transitions(field, chain, s, "sum", None) - noised(k, chain[1:], chain[:-1])
    a = field.action(chain[-1])
    return a if field.box is None else jnp.clip(a, -field.box, field.box), start + jnp.sum(steps, axis=0)


def kernel_density(
    policy: MapPolicy, key: Key, s: Array, a: Array, *, entropy_samples, bandwidth_min
) -> tuple[Array, Array]:
    """grad log p(a) (B, d) of Gaussian kernels on fresh samples of the policy, and their variance h (B, 1).

    h = max(median_j |a_j - a|^2 / (2 log(n + 1)), bandwidth_min); h grad log p is the mean shift. Both are constants.
    Source: drifting models (2602.04770); flow-rl driftpo.py.
    """
    others = jax.lax.stop_gradient(policy.sample(key, s, (entropy_samples,)))
    distance = jnp.sum(jnp.square(others - a), axis=-1)
    h = jnp.maximum(jnp.median(distance, axis=0) / (2.0 * jnp.log(entropy_samples + 1.0)), bandwidth_min)

    def log_p(point: Array) -> Array:
        return jax.nn.logsumexp(-0.5 * jnp.sum(jnp.square(others - point), axis=-1) / h, axis=0)

    return jax.grad(lambda points: jnp.sum(log_p(points)))(a), h[:, None]


CLAMPED = ("element", "step")
"""What the bounds of log-densities hold: each dimension of a step, or the reduced log-density of the step."""


def _transitions(field: FieldPolicy, chain: Array, s: Array, reduction: str, clamp, clamp_of="element") -> Array:
    """Log-densities (K, B) of the steps of a stored chain under the field's own transition kernel."""
    if clamp_of not in CLAMPED:
        raise unknown("value of log_prob_clamp_of", clamp_of, CLAMPED)

    def one(k: Array, x: Array, following: Array) -> Array:
        mean, std = field.step(x, k, s)
        log_p = -0.5 * jnp.square((following - mean) / std) - 0.5 * jnp.log(2.0 * jnp.pi * jnp.square(std))
        log_p = jnp.clip(log_p, *clamp) if clamp is not None and clamp_of == "element" else log_p
        log_p = REDUCTIONS[reduction](log_p, -1)
        return jnp.clip(log_p, *clamp) if clamp is not None and clamp_of == "step" else log_p

    return jax.vmap(one)(jnp.arange(chain.shape[0] - 1), chain[:-1], chain[1:])


def per_step_chain(
    models: Models, batch: Batch, *, log_prob_reduction="sum", log_prob_clamp=None, log_prob_clamp_of="element"
) -> Array:
    """One log ratio for each denoising step of the stored chain. Source: DDPO (2305.13301), DPPO (2409.00588)."""
    kind = (log_prob_reduction, log_prob_clamp, log_prob_clamp_of)
    new = _transitions(models.actor, batch.chain, batch.s, *kind)
    old = _transitions(models.old, batch.chain, batch.s, *kind)
    return new - jax.lax.stop_gradient(old)


def chain_sum(
    models: Models, batch: Batch, *, log_prob_reduction="sum", log_prob_clamp=None, log_prob_clamp_of="element"
) -> Array:
    """One log ratio for the whole chain: the sum over its steps. Source: ReinFlow (2505.22094)."""
    kind = {"log_prob_clamp": log_prob_clamp, "log_prob_clamp_of": log_prob_clamp_of}
    return jnp.sum(per_step_chain(models, batch, log_prob_reduction=log_prob_reduction, **kind), axis=0, keepdims=True)


def entropy_rate(field: FieldPolicy, chain: Array, s: Array) -> Array:
    """Entropy (B,) of each dimension of each state of a chain (K+1, B, d), given the state before.

    (H[N(0, I)] + sum_k H[N(mu_k, std_k^2)]) / (K + 1) d = 1/2 log 2 pi e + sum_k mean_i log std_ki / (K + 1).
    Source: ReinFlow (2505.22094), entropy regularisation.
    """
    std = jax.vmap(lambda k, x: field.step(x, k, s)[1])(jnp.arange(len(chain) - 1), chain[:-1])
    return jnp.sum(jnp.mean(jnp.log(std), axis=-1), axis=0) / len(chain) + 0.5 * jnp.log(2.0 * jnp.pi * jnp.e)


def log_density(field: FieldPolicy, x: Array, s: Array) -> Array:
    """Exact log-density (...,) of a final state x (..., 2d) of the coupled sampler: log N(z; 0, I) - 2 d K log p.

    z is the noise that leads to x, p the mixing, K the steps. Every half-step is a shear and every mixing scales d
    coordinates by p, so that the determinant depends on neither field nor state. Source: own derivation.
    """
    noise, steps = samplers.undone(field, x, s), field.grid.shape[0] - 1
    unit = -0.5 * jnp.sum(jnp.square(noise) + jnp.log(2.0 * jnp.pi), axis=-1)
    return unit - x.shape[-1] * steps * jnp.log(field.mixing)


def change_of_variables(models: Models, batch: Batch) -> Array:
    """log pi(x) - log pi_old(x) of the last state of the stored chain, all its copies together."""
    new, old = (log_density(field, batch.chain[-1], batch.s) for field in (models.actor, models.old))
    return (new - jax.lax.stop_gradient(old))[None]


def _pair_losses(field: FieldPolicy, batch: Batch, loss_space: str, reduction: str, cfm_loss_max) -> Array:
    """Denoising loss (N, B) at the stored pairs, reduced over dimensions and cut at `cfm_loss_max`."""
    x = forward(field.path, batch.a, batch.pair_t, batch.pair_eps)
    error = REDUCTIONS[reduction](jnp.square(field.eps(x, batch.pair_t, batch.s) - batch.pair_eps), -1)
    losses = getattr(loss_spaces, loss_space)(field.path, batch.pair_t) * error
    return losses if cfm_loss_max is None else jnp.clip(losses, max=cfm_loss_max)


def _drops(models: Models, batch: Batch, loss_space: str, reduction: str, cfm_loss_max) -> Array:
    """By how much the denoising loss at each stored pair is below that of the previous policy (N, B)."""
    old = jax.lax.stop_gradient(_pair_losses(models.old, batch, loss_space, reduction, cfm_loss_max))
    return old - _pair_losses(models.actor, batch, loss_space, reduction, cfm_loss_max)


def _bounded(log_ratio: Array, log_ratio_max: float | None, log_ratio_clip: float | None) -> Array:
    """min(log ratio, max), differentiated as if there were no bound; cut at +-clip, beyond which nothing is."""
    if log_ratio_clip is not None:
        log_ratio = jnp.clip(log_ratio, -log_ratio_clip, log_ratio_clip)
    if log_ratio_max is None:
        return log_ratio
    return log_ratio + jax.lax.stop_gradient(jnp.minimum(log_ratio, log_ratio_max) - log_ratio)


def cfm_per_sample(
    models: Models,
    batch: Batch,
    *,
    loss_space: str,
    log_prob_reduction="mean",
    log_ratio_max=None,
    log_ratio_clip=None,
    cfm_loss_max=None,
) -> Array:
    """The drop of the denoising loss at each stored pair. Source: FPO++ (2602.02481), eq. 10.

    Official codes cut the losses of both policies at `cfm_loss_max` (FPO++) or their drop at +-`log_ratio_clip` (FPO).
    """
    drops = _drops(models, batch, loss_space, log_prob_reduction, cfm_loss_max)
    return _bounded(drops, log_ratio_max, log_ratio_clip)


def cfm_averaged(
    models: Models,
    batch: Batch,
    *,
    loss_space: str,
    log_prob_reduction="mean",
    log_ratio_max=None,
    log_ratio_clip=None,
    cfm_loss_max=None,
) -> Array:
    """The drop of the denoising loss, averaged over an action's pairs. Source: FPO (2507.21053), eq. 11.

    Bounds as in `cfm_per_sample`: losses are cut before, their drop after the average.
    """
    drops = _drops(models, batch, loss_space, log_prob_reduction, cfm_loss_max)
    return _bounded(jnp.mean(drops, axis=0, keepdims=True), log_ratio_max, log_ratio_clip)


def pull_to_frozen(
    models: Models, batch: Batch, *, loss_space: str, anchor_weight: float, log_prob_reduction="mean"
) -> Array:
    """beta E w(t) |eps_theta - eps_mu|^2 at the stored pairs: the distance of the field from that of a frozen policy.

    On the straight path with the velocity's w it is the distance of velocities. Also called velocity KL.
    Source: AWM (2509.25050), official train_sd3_awm.py.
    """
    x, t = forward(models.actor.path, batch.a, batch.pair_t, batch.pair_eps), batch.pair_t
    gap = models.actor.eps(x, t, batch.s) - jax.lax.stop_gradient(models.behaviour.eps(x, t, batch.s))
    error = REDUCTIONS[log_prob_reduction](jnp.square(gap), -1)
    return anchor_weight * jnp.mean(getattr(loss_spaces, loss_space)(models.actor.path, t) * error)
