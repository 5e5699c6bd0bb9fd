"""How the strength of the improvement is set. Conditional axis `temperature-control`: losses of the trained scalar."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from flowrl_kb.parts.acting import perturbed
from flowrl_kb.parts.binding import MissingHyper
from flowrl_kb.parts.likelihood import closed_form
from flowrl_kb.parts.types import Array, Batch, Key, Loss, Models


def fixed() -> dict[str, Loss]:
    """Nothing is trained."""
    return {}


def none() -> dict[str, Loss]:
    """Nothing is trained."""
    return {}


def dual(*, target_entropy, sampled=closed_form) -> dict[str, Loss]:
    """-log lambda (log pi + H), H = target_entropy per action dimension. Source: SAC (1812.05905), section 5.

    `sampled(policy, key, s)` draws actions with what stands for their log-density (axis `likelihood`).
    """

    def loss(models: Models, batch: Batch, key: Key):
        _, log_prob = sampled(models.actor, key, batch.s)
        gap = jax.lax.stop_gradient(jnp.mean(log_prob)) + target_entropy * models.actor.dim
        return -models.log_temperature * gap, {"entropy": -jnp.mean(log_prob)}

    return {"log_temperature": loss}


def weight_divergence(*, target_kl, weigh) -> dict[str, Loss]:
    """lambda (target_kl - KL), KL = log K + sum_k w_k log w_k of the K weights of a state from equal ones.

    `weigh(models, batch, key)` gives weights (K, B) that sum to one. Where they are exponential, its slope is that of
    the dual lambda kappa + lambda log mean exp(Q / lambda). Source: flow-rl dpmd.py, temp_loss_fn; MPO (1806.06920).
    """

    def loss(models: Models, batch: Batch, key: Key):
        w = weigh(models, batch, key)
        divergence = jnp.mean(jnp.log(len(w)) + jnp.sum(jax.scipy.special.xlogy(w, w), axis=0))
        return jnp.exp(models.log_temperature) * (target_kl - divergence), {"divergence": divergence}

    return {"log_temperature": loss}


def _clustered(a: Array, key: Key, components: int, rounds: int = 20) -> Array:
    """One-hot clusters (K, N) of a (N, d) by k-means, seeded in proportion to squared distances (k-means++)."""

    def distances(centres: Array) -> Array:
        return jnp.sum(jnp.square(centres[:, None] - a[None]), axis=-1)

    def seed(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        centres, nearest = state
        pick = jax.random.choice(jax.random.fold_in(key, k), a.shape[0], p=nearest / jnp.sum(nearest))
        return centres.at[k].set(a[pick]), jnp.minimum(nearest, distances(a[pick][None])[0])

    # Equal and very large distances make the first seed uniform.
    begin = (jnp.zeros((components, a.shape[1])), jnp.full(a.shape[0], 1e9))
    centres, _ = jax.lax.fori_loop(0, components, seed, begin)

    def assign(centres: Array) -> Array:
        return jax.nn.one_hot(jnp.argmin(distances(centres), axis=0), components, axis=0)

    def refine(centres: Array, _) -> tuple[Array, None]:
        r = assign(centres)
        total = jnp.sum(r, axis=1, keepdims=True)
        return jnp.where(total > 0, r @ a / jnp.maximum(total, 1.0), centres), None

    return assign(jax.lax.scan(refine, centres, length=rounds)[0])


def _gaussian(a: Array, mean: Array, covariance: Array) -> Array:
    """log N(a; mean, covariance) (N,) of a (N, d), by elimination: LAPACK is slow on many small matrices."""
    total = jnp.zeros(a.shape[0])
    a = a - mean
    for j in range(a.shape[1]):
        pivot = covariance[j, j]
        total = total - 0.5 * (jnp.square(a[:, j]) / pivot + jnp.log(2 * jnp.pi * pivot))
        factor = covariance[:, j] / pivot
        a = a - a[:, j, None] * factor
        covariance = covariance - jnp.outer(factor, covariance[j])
    return total


def _mixture_entropy(a: Array, key: Key, components: int, rounds: int, tolerance: float = 1e-3) -> Array:
    """Entropy sum_k w_k (log det(2 pi e S_k) / 2 - log w_k) of a Gaussian mixture fitted to a (N, d) by EM.

    An upper bound of the mixture's entropy. EM starts from k-means and rests once a round gains less than `tolerance`
    in mean log-likelihood. Source: DACER (2405.15177), section 4.
    """
    n, d = a.shape
    ridge = 1e-6 * jnp.eye(d)

    def fit(r: Array) -> tuple[Array, Array, Array]:
        total = jnp.sum(r, axis=1) + 1e-8
        means = (r @ a) / total[:, None]
        centred = a[None] - means[:, None]
        covariances = jnp.einsum("kn,kni,knj->kij", r, centred, centred) / total[:, None, None] + ridge
        return total / n, means, covariances

    def round_(state, _):
        (weights, means, covariances), before, resting = state
        log_p = jax.vmap(_gaussian, (None, 0, 0))(a, means, covariances)
        log_p = log_p + jnp.log(weights)[:, None]
        level = jnp.mean(jax.nn.logsumexp(log_p, axis=0))
        new = jax.tree.map(lambda x, y: jnp.where(resting, x, y), state[0], fit(jax.nn.softmax(log_p, axis=0)))
        return (new, jnp.where(resting, before, level), resting | (jnp.abs(level - before) < tolerance)), None

    begin = (fit(_clustered(a, key, components)), jnp.array(-jnp.inf), jnp.array(False))
    (weights, _, covariances), _, _ = jax.lax.scan(round_, begin, length=rounds)[0]
    log_det = jnp.linalg.slogdet(2 * jnp.pi * jnp.e * covariances)[1]
    return jnp.sum(weights * (0.5 * log_det - jnp.log(weights)))


def noise(
    *,
    target_entropy,
    entropy_of="actions",
    entropy_samples=None,
    mixture_components=3,
    mixture_rounds=100,
    noise_std=0.0,
    box=None,
) -> dict[str, Loss]:
    """log alpha (H_mixture - H), H = target_entropy per action dimension; alpha scales acting noise. Source: DACER.

    H_mixture is the entropy of executed actions, acting noise included, from `entropy_samples` for each state. With
    `entropy_of` noise, that of the acting noise alone stands in its place, and the scalar follows a fixed schedule.
    """
    if entropy_of == "actions" and entropy_samples is None:
        raise MissingHyper("entropy_samples", "temperature-control=noise: needs the hyper-parameter 'entropy_samples'")

    def of_noise(models: Models, batch: Batch, key: Key):
        of_unit = jnp.log(noise_std) + 0.5 * jnp.log(2 * jnp.pi * jnp.e)
        entropy = models.actor.dim * (jax.lax.stop_gradient(models.log_temperature) + of_unit)
        return models.log_temperature * (entropy - target_entropy * models.actor.dim), {"entropy": entropy}

    def loss(models: Models, batch: Batch, key: Key):
        k_sample, k_noise, k_fit = jax.random.split(key, 3)
        a = models.actor.sample(k_sample, batch.s, (entropy_samples,))
        a = perturbed(models, a, k_noise, noise_std, scaled=True)
        a = a if box is None else jnp.clip(a, -box, box)
        of_one = partial(_mixture_entropy, components=mixture_components, rounds=mixture_rounds)
        of_state = jax.vmap(of_one, in_axes=(1, 0))
        entropy = jax.lax.stop_gradient(jnp.mean(of_state(a, jax.random.split(k_fit, a.shape[1]))))
        return models.log_temperature * (entropy - target_entropy * models.actor.dim), {"entropy": entropy}

    return {"log_temperature": of_noise if entropy_of == "noise" else loss}
