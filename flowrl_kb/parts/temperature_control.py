"""How the strength of the improvement is set. Conditional axis `temperature-control`: losses of the trained scalar."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from flowrl_kb.parts.acting import perturbed
from flowrl_kb.parts.types import Array, Batch, Key, Loss, Models


def fixed() -> dict[str, Loss]:
    """Nothing is trained."""
    return {}


def none() -> dict[str, Loss]:
    """Nothing is trained."""
    return {}


def dual(*, target_entropy) -> dict[str, Loss]:
    """-log lambda (log pi + H), H = target_entropy per action dimension. Source: SAC (1812.05905), section 5."""

    def loss(models: Models, batch: Batch, key: Key):
        _, log_prob = models.actor.sample_with_log_prob(key, batch.s)
        gap = jax.lax.stop_gradient(jnp.mean(log_prob)) + target_entropy * models.actor.dim
        return -models.log_temperature * gap, {"entropy": -jnp.mean(log_prob)}

    return {"log_temperature": loss}


def _mixture_entropy(a: Array, components: int, rounds: int = 50) -> Array:
    """Entropy sum_k w_k (log det(2 pi e S_k) / 2 - log w_k) of a Gaussian mixture fitted to a (N, d) by EM.

    An upper bound of the mixture's entropy. Components start at quantiles of the first coordinate. Source: DACER, eq. 12.
    """
    n, d = a.shape
    order = jnp.argsort(a[:, 0])
    means = a[order[(2 * jnp.arange(components) + 1) * n // (2 * components)]]
    ridge = 1e-6 * jnp.eye(d)
    covariances = jnp.broadcast_to(jnp.cov(a, rowvar=False).reshape(d, d) + ridge, (components, d, d))
    weights = jnp.full(components, 1.0 / components)

    def round_(state, _):
        weights, means, covariances = state
        log_p = jax.vmap(lambda m, c: jax.scipy.stats.multivariate_normal.logpdf(a, m, c))(means, covariances)
        r = jax.nn.softmax(jnp.log(weights)[:, None] + log_p, axis=0)
        total = jnp.sum(r, axis=1) + 1e-8
        means = (r @ a) / total[:, None]
        centred = a[None] - means[:, None]
        covariances = jnp.einsum("kn,kni,knj->kij", r, centred, centred) / total[:, None, None] + ridge
        return (total / n, means, covariances), None

    (weights, _, covariances), _ = jax.lax.scan(round_, (weights, means, covariances), None, length=rounds)
    log_det = jnp.linalg.slogdet(2 * jnp.pi * jnp.e * covariances)[1]
    return jnp.sum(weights * (0.5 * log_det - jnp.log(weights)))


def noise(*, target_entropy, entropy_samples, mixture_components=3, noise_std=0.0, box=None) -> dict[str, Loss]:
    """log alpha (H_mixture - H), H = target_entropy per action dimension; alpha scales acting noise. Source: DACER.

    H_mixture is the entropy of executed actions, acting noise included.
    """

    def loss(models: Models, batch: Batch, key: Key):
        k_sample, k_noise = jax.random.split(key)
        a = models.actor.sample(k_sample, batch.s, (entropy_samples,))
        a = perturbed(models, a, k_noise, noise_std, scaled=True)
        a = a if box is None else jnp.clip(a, -box, box)
        of_state = jax.vmap(partial(_mixture_entropy, components=mixture_components), in_axes=1)
        entropy = jax.lax.stop_gradient(jnp.mean(of_state(a)))
        return models.log_temperature * (entropy - target_entropy * models.actor.dim), {"entropy": entropy}

    return {"log_temperature": loss}
