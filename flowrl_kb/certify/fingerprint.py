"""Fingerprints: the expected update of any loss, as moments in common coordinates.

The trained object is a frozen exact function plus theta . phi; the gradient of a loss in theta at theta = 0 is a
vector of moments of its update, whatever the path or prediction. For fields phi is a set of bounded random Fourier
features of (x / sqrt(alpha^2 + sigma^2), log-SNR, s), times bins of log-SNR.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.certify import laboratory as lab
from flowrl_kb.parts.types import Array, Key, Loss, Method, Path

FEATURES = 24
EDGES = (-1.5, 0.0, 1.5)
"""Edges of the log-SNR bins (log alpha^2 / sigma^2)."""
BATCH = 256
CHUNK, WIDTH = 256, 4
"""Replicates computed by one compiled call, and how many of them side by side."""


class Features(NamedTuple):
    """cos(W u + b) for a concatenated input u."""

    weight: Array
    phase: Array

    def __call__(self, *inputs: Array) -> Array:
        edges = np.cumsum([0, *(i.shape[-1] for i in inputs)])
        rows = (self.weight[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True))
        return jnp.cos(sum((i @ w for i, w in zip(inputs, rows, strict=True)), start=self.phase))


def features(seed: int, width: int, bandwidth: float = 1.0) -> Features:
    """Random features of a `width`-dimensional input; a small bandwidth resolves clips."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(width, FEATURES)) / bandwidth
    return Features(jnp.asarray(weight, jnp.float32), jnp.asarray(rng.uniform(0, 2 * np.pi, FEATURES), jnp.float32))


class Perturbation:
    """theta . phi in the shape that each kind of trained object needs."""

    def __init__(self, theta: Array, seed: int):
        self.theta, self.seed = theta, seed

    def field(self, path: Path, x: Array, t: Array, s: Array) -> Array:
        alpha, sigma = path.alpha(t)[..., None], path.sigma(t)[..., None]
        log_snr = 2.0 * (jnp.log(alpha) - jnp.log(sigma))
        phi = features(self.seed, lab.DIM + 1 + lab.CONTEXT)(x / jnp.sqrt(alpha**2 + sigma**2), 0.3 * log_snr, s)
        level = jnp.sum(log_snr > jnp.array(EDGES), axis=-1)
        return jnp.einsum("...f,...b,bfd->...d", phi, jax.nn.one_hot(level, len(EDGES) + 1), self.theta)

    def map(self, s: Array, z: Array) -> Array:
        return features(self.seed, lab.CONTEXT + lab.DIM)(s, z) @ self.theta[0]

    def mean(self, s: Array) -> Array:
        return features(self.seed, lab.CONTEXT)(s) @ self.theta[0]

    def log_std(self, s: Array) -> Array:
        return features(self.seed, lab.CONTEXT)(s) @ self.theta[1]

    def heads(self, s: Array, a: Array) -> Array:
        return jnp.einsum("...f,hf->...h", features(self.seed, lab.CONTEXT + lab.DIM)(s, a), self.theta[:2])

    def spread(self, s: Array, a: Array) -> Array:
        return jnp.einsum("...f,hf->...h", features(self.seed, lab.CONTEXT + lab.DIM)(s, a), self.theta[2:])

    def value(self, s: Array) -> Array:
        return features(self.seed, lab.CONTEXT)(s) @ self.theta[0]

    def scalar(self) -> Array:
        return jnp.log(0.3) + self.theta[0, 0]


SHAPES = {
    "field": (len(EDGES) + 1, FEATURES, lab.DIM),
    "map": (1, FEATURES, lab.DIM),
    "gaussian": (2, FEATURES, lab.DIM),
    "deterministic": (1, FEATURES, lab.DIM),
    "critic": (2, FEATURES),
    "gaussian-critic": (4, FEATURES),
    "value": (1, FEATURES),
    "scalar": (1, 1),
}
"""Shape of theta for each trained kind; the leading axis counts blocks."""


def _gradient(
    loss: Loss, name: str, kind: str, setting: lab.Setting, seed: int, scene: lab.Scenario, key: Key
) -> Array:
    k_batch, k_loss = jax.random.split(key)
    batch = lab.batch(setting, scene, k_batch, BATCH)

    def scalar(theta: Array) -> Array:
        return loss(lab.models(setting, scene, {name: Perturbation(theta, seed)}), batch, k_loss)[0]

    return jax.grad(scalar)(jnp.zeros(SHAPES[kind]))


def _moments(method: Method, setting: lab.Setting, seed: int, scene: lab.Scenario, key: Key) -> Array:
    """Mean features of executed actions: the fingerprint of the acting slot, (1, F)."""
    k_batch, k_act = jax.random.split(key)
    batch = lab.batch(setting, scene, k_batch, BATCH)
    a = method.act(lab.models(setting, scene, {}), batch.s, k_act)
    return jnp.mean(features(seed, lab.CONTEXT + lab.DIM)(batch.s, a), axis=0)[None]


class Fingerprint:
    """Replicates of one slot's update, grown on demand: `take(n)` gives an array (S, n, blocks, moments).

    Replicates use independent keys; `stream` separates the key streams of the two sides of a comparison.
    """

    def __init__(
        self, method: Method, slot: str, setting: lab.Setting, scenes: lab.Scenario, stream: int, seed: int = 0
    ):
        if slot == "acting":
            one = partial(_moments, method, setting, seed)
        else:
            one = partial(_gradient, method.losses[slot], slot, method.trains[slot], setting, seed)

        def chunk(keys: Array) -> Array:
            return jax.lax.map(lambda key: jax.vmap(lambda scene: one(scene, key))(scenes), keys, batch_size=WIDTH)

        self._chunk, self._key, self._rows = jax.jit(chunk), jax.random.key(1000 + stream, impl="rbg"), []

    def take(self, n: int) -> np.ndarray:
        while len(self._rows) * CHUNK < n:
            keys = jax.random.split(jax.random.fold_in(self._key, len(self._rows)), CHUNK)
            rows = np.asarray(self._chunk(keys), np.float64)
            self._rows.append(rows.reshape(*rows.shape[:3], -1))
        return np.concatenate(self._rows)[:n].swapaxes(0, 1)
