"""Common coordinates of updates: random features, and how they perturb each kind of trained object.

A trained object is a frozen exact function plus theta . phi; the gradient of a loss in theta at theta = 0 is a vector
of moments of its update, whatever the path or prediction. For fields phi is a set of bounded random Fourier features of
(x / sqrt(alpha^2 + sigma^2), log-SNR, s), times bins of log-SNR.
"""

from __future__ import annotations

from math import factorial, pi

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts.types import Array, Path

BANDWIDTHS = (1.0, 1.0, 0.35)
"""Two sets of broad features with different draws, and a narrow one that resolves clips."""
FEATURES = 12
"""Features of each set."""
EDGES = (-1.2, 0.4, 2.0)
"""Edges of the log-SNR bins (log alpha^2 / sigma^2)."""
ATOMS = 13
"""Atoms of a categorical critic."""
SETS, BINS = len(BANDWIDTHS), len(EDGES) + 1
SINE = [(-1) ** k * (2 * pi) ** (2 * k + 1) / factorial(2 * k + 1) for k in reversed(range(6))]
"""Taylor coefficients of sin 2 pi x at the odd powers of x, to 6e-8 on a quarter turn; the highest comes first."""


def cosine(turns: Array) -> Array:
    """cos(2 pi turns) to single precision.

    A polynomial, because the library's cosine is not vectorised on CPUs and was up to half the cost of a fingerprint.
    """
    quarter = jnp.abs(turns - jnp.round(turns)) - 0.25
    return -quarter * jnp.polyval(jnp.array(SINE, jnp.float32), quarter**2)


def features(*inputs: Array) -> Array:
    """cos 2 pi (W u + b), (..., SETS, FEATURES), of concatenated inputs (..., n_i), which broadcast."""
    width = sum(i.shape[-1] for i in inputs)
    rng = np.random.default_rng(width)
    weight = np.concatenate([rng.normal(size=(width, FEATURES)) / (2.0 * np.pi * b) for b in BANDWIDTHS], axis=1)
    turns, at = rng.uniform(size=SETS * FEATURES).astype(np.float32), 0
    for i in inputs:
        turns = turns + i @ jnp.asarray(weight[at : at + i.shape[-1]], jnp.float32)
        at += i.shape[-1]
    return cosine(turns).reshape(*turns.shape[:-1], SETS, FEATURES)


def shape(kind: str, dim: int) -> tuple[int, ...]:
    """Shape (SETS, rows, FEATURES, outputs) of theta for a trained kind; each (set, row) is a block."""
    rows, out = {
        "field": (BINS, dim),
        "noisy-field": (BINS + 1, dim),
        "map": (1, dim),
        "gaussian": (2, dim),
        "deterministic": (1, dim),
        "critic": (2, 1),
        "gaussian-critic": (4, 1),
        "categorical-critic": (2, ATOMS),
        "step-critic": (2, 1),
        "value": (1, 1),
        "energy": (BINS, 1),
    }.get(kind, (1, 1))
    return (1, 1, 1, 1) if kind == "scalar" else (SETS, rows, FEATURES, out)


class Perturbation:
    """theta . phi in the form that each kind of trained object needs; theta as in `shape`."""

    def __init__(self, theta: Array):
        self.theta = theta

    def _row(self, phi: Array, row: int) -> Array:
        return jnp.einsum("...kf,kfd->...d", phi, self.theta[:, row])

    def _noisy(self, path: Path, x: Array, t: Array, s: Array) -> tuple[Array, Array]:
        alpha, sigma = path.alpha(t)[..., None], path.sigma(t)[..., None]
        log_snr = 2.0 * (jnp.log(alpha) - jnp.log(sigma))
        return features(x / jnp.sqrt(alpha**2 + sigma**2), 0.3 * log_snr, s), log_snr

    def field(self, path: Path, x: Array, t: Array, s: Array) -> Array:
        phi, log_snr = self._noisy(path, x, t, s)
        bin_ = jax.nn.one_hot(jnp.sum(log_snr > jnp.array(EDGES), axis=-1), BINS)
        return jnp.einsum("...kf,...b,kbfd->...d", phi, bin_, self.theta[:, :BINS])

    def log_noise(self, path: Path, x: Array, t: Array, s: Array) -> Array:
        return self._row(self._noisy(path, x, t, s)[0], BINS)

    def energy(self, path: Path, x: Array, t: Array, s: Array) -> Array:
        return self.field(path, x, t, s)[..., 0]

    def map(self, s: Array, z: Array) -> Array:
        return self._row(features(s, z), 0)

    def mean(self, s: Array) -> Array:
        return self._row(features(s), 0)

    def log_std(self, s: Array) -> Array:
        return self._row(features(s), 1)

    def heads(self, s: Array, a: Array) -> Array:
        phi = features(s, a)
        return jnp.concatenate([self._row(phi, 0), self._row(phi, 1)], axis=-1)

    def spread(self, s: Array, a: Array) -> Array:
        phi = features(s, a)
        return jnp.concatenate([self._row(phi, 2), self._row(phi, 3)], axis=-1)

    def logits(self, s: Array, a: Array) -> Array:
        phi = features(s, a)
        return jnp.stack([self._row(phi, 0), self._row(phi, 1)])

    def step_heads(self, path: Path, s: Array, x: Array, t: Array) -> Array:
        phi, _ = self._noisy(path, x, t, s)
        return jnp.concatenate([self._row(phi, 0), self._row(phi, 1)], axis=-1)

    def value(self, s: Array) -> Array:
        return self._row(features(s), 0)[..., 0]

    def scalar(self) -> Array:
        return self.theta[0, 0, 0, 0]


def block_name(kind: str, block: int) -> str:
    """In words which (set, row) a block is, for example `log-SNR 0.4 to 2.0, narrow features`."""
    rows = shape(kind, 1)[1]
    set_, row = divmod(block, rows)
    bounds = ("-inf", *map(str, EDGES), "inf")
    level = lambda: f"log-SNR {bounds[row]} to {bounds[row + 1]}"  # noqa: E731
    names = {
        "field": level,
        "noisy-field": lambda: level() if row < BINS else "log standard deviation of a step",
        "energy": level,
        "gaussian": lambda: ("mean", "log standard deviation")[row],
        "critic": lambda: f"head {row + 1}",
        "categorical-critic": lambda: f"head {row + 1}",
        "step-critic": lambda: f"head {row + 1}",
        "gaussian-critic": lambda: f"{('mean', 'spread')[row // 2]} of head {row % 2 + 1}",
    }
    name = names[kind]() if kind in names else kind
    return name + (", narrow features" if BANDWIDTHS[set_] < 1.0 and kind != "scalar" else "")
