"""How the energy that guides a sampler is learned. Mechanism axis `energy`: each returns the loss of the energy.

`log_weight(models, s, a, key) -> (M, B)` is the logarithm of the weight of clean actions a (M, B, d) (axis
`energy-weight`). All M noisy actions of a state share one noise level.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from flowrl_kb.parts.path import forward as noised
from flowrl_kb.parts.types import Array, Batch, Key, Loss, Models

LogWeight = Callable[[Models, Array, Array, Key], Array]


def _energies(models: Models, s: Array, a: Array, key: Key) -> Array:
    """The energy (M, B) of freshly noised actions a (M, B, d), at one level for each state."""
    k_time, k_noise = jax.random.split(key)
    path = models.actor.path
    t = jnp.broadcast_to(path.sample_t(k_time, a.shape[1:-1]), a.shape[:-1])
    return models.energy(noised(path, a, t, jax.random.normal(k_noise, a.shape)), t, s)


def contrastive(log_weight: LogWeight, *, candidates) -> Loss:
    """-E sum_i p_i log softmax_i E(x_i, t, s), p = softmax_i log w(a_i), a_i actions of the unguided model.

    The energy is learned up to a function of (t, s); it ends at log E[w | x] as the number of actions grows.
    Source: QGPO (2304.12824), in-support contrastive energy prediction.
    """

    def loss(models: Models, batch: Batch, key: Key):
        k_actions, k_weight, k_noise = jax.random.split(key, 3)
        a = models.actor.sample(k_actions, batch.s, (candidates,))
        label = jax.nn.softmax(log_weight(models, batch.s, a, k_weight), axis=0)
        energy = _energies(models, batch.s, a, k_noise)
        return -jnp.mean(jnp.sum(label * jax.nn.log_softmax(energy, axis=0), axis=0)), {"label": jnp.mean(label.max(0))}

    return loss


def linex(log_weight: LogWeight, *, candidates, weight_clip=None) -> Loss:
    """E[w exp(-E(x, t, s)) + E(x, t, s)] on `candidates` noised copies of the data action: ends at log E[w | x].

    `weight_clip` bounds w. Also called Itakura-Saito loss. Source: Diffusion-DICE (2407.20109), in-sample guidance.
    """

    def loss(models: Models, batch: Batch, key: Key):
        k_weight, k_noise = jax.random.split(key)
        log_w = log_weight(models, batch.s, batch.a[None], k_weight)
        log_w = log_w if weight_clip is None else jnp.minimum(log_w, jnp.log(weight_clip))
        energy = _energies(models, batch.s, jnp.broadcast_to(batch.a, (candidates, *batch.a.shape)), k_noise)
        return jnp.mean(jnp.exp(log_w - energy) + energy), {"energy": jnp.mean(energy)}

    return loss


def squared(log_weight: LogWeight) -> Loss:
    """E (E(x, t, s) - log w(a))^2 on the noised data action: ends at the posterior average of log w.

    Source: the regression with which QGPO (2304.12824) is compared.
    """

    def loss(models: Models, batch: Batch, key: Key):
        k_weight, k_noise = jax.random.split(key)
        energy = _energies(models, batch.s, batch.a[None], k_noise)
        return jnp.mean(jnp.square(energy - log_weight(models, batch.s, batch.a[None], k_weight))), {}

    return loss
