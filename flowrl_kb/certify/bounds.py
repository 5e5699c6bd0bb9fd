"""Bounds on a published loss where its minimiser has no closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from flowrl_kb.certify.reach import SAMPLES
from flowrl_kb.parts.types import Array, Key
from flowrl_kb.tasks import bandits, laws
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train import settings
from flowrl_kb.train.settings import Settings

DRAWS = 400_000
"""Noisy actions over which the least denoising error is averaged."""


def least_cloning(task: Bandit, made: Settings, key: Key) -> Array:
    """E |E[eps | x_t] - eps|^2 / d over the data, the times of the loss and its noise: no field has a smaller error."""
    path, _ = settings.path_and_grid(made.coordinates, int(made.hyper["steps"]), None)
    k_data, k_time, k_noise = jax.random.split(key, 3)
    a, t = bandits.sample(task, k_data, (DRAWS,)), path.sample_t(k_time, (DRAWS,))
    eps = jax.random.normal(k_noise, a.shape)
    alpha, sigma = path.alpha(t), path.sigma(t)
    x = alpha[:, None] * a + sigma[:, None] * eps
    best = (x - alpha[:, None] * bandits.denoised(task, x, alpha, sigma)) / sigma[:, None]
    return jnp.mean(jnp.square(best - eps))


def objective(task: Bandit, made: Settings, key: Key, samples: Array, metrics: Mapping[str, Array]) -> dict[str, Any]:
    """Where the loss J = C(theta) - eta E Q(a_theta) / c lies between a bound for all fields and exact cloning.

    C is the denoising error and c the loss's normaliser, E|Q| of the trained policy, held as its gradient holds it. No
    field has J < C* - eta max Q / c with C* of `least_cloning`. The exact denoiser of the data reaches
    C* - eta E Q(a_nu) / c, where a_nu is drawn by its chain on the same grid, so that the minimum lies between the two
    (own derivation). Arguments: samples (seeds, n, d) generated, metrics with `cloning` (seeds,).
    Returns fields of a law's row; distances are from the lower bound.
    """
    k_cloning, k_chain = jax.random.split(key)
    path, grid = settings.path_and_grid(made.coordinates, int(made.hyper["steps"]), None)
    least = jax.jit(lambda k: least_cloning(task, made, k))(k_cloning)
    clone = bandits.behaviour(task, path, grid, made.coordinates["sampler"])
    cloned = bandits.reward(task, clone.sample(k_chain, bandits.states((SAMPLES,)))).mean()
    top = jnp.max(bandits.reward(task, laws.grid(task.d).points))
    q = bandits.reward(task, samples)
    weight = made.hyper["q_weight"] / jnp.mean(jnp.abs(q), axis=-1)
    excess = metrics["cloning"] - least
    gap, of_clone = excess + weight * (top - q.mean(-1)), weight * (top - cloned)
    found = {
        "loss": metrics["cloning"] - weight * q.mean(-1),
        "lower_bound": least - weight * top,
        "loss_of_cloning": least - weight * cloned,
        "cloning_excess": excess,
        "distance": gap,
        "behaviour_distance": of_clone,
    }
    row = {name: round(float(jnp.mean(value)), 4) for name, value in found.items()}
    note = (
        "loss {loss:.3f}; no field is below {lower_bound:.3f} and exact cloning has {loss_of_cloning:.3f} "
        "(its denoising error is {cloning_excess:.3f} above the least). The distance is that to the lower bound"
    )
    return {"metric": "published loss above its bound", **row, "note": note.format(**row)}


BOUNDS: dict[str, Callable[[Bandit, Settings, Key, Array, Mapping[str, Array]], dict[str, Any]]] = {
    "objective": objective
}
"""Predictors that bound the loss and predict no law."""
