"""Analytic bandits: a Gaussian-mixture behaviour with an exact denoiser, and a smooth reward.

reward(a) = sum_i h_i exp(-|a - c_i|^2 / 2 w^2) - |a|^2 / 2. Its curvature is bounded and exp(reward / lambda) is
integrable for every lambda > 0, so that a law exists also where the reference is flat. Actions lie roughly inside
[-1, 1]^d and are not bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.errors import unknown
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Array, Key, Path


class Bandit(NamedTuple):
    """Behaviour sum_j weights_j N(means_j, std^2 I), means (M, d); reward bumps `heights` (C,) at `centres` (C, d)."""

    name: str
    means: Array
    weights: Array
    std: float
    centres: Array
    heights: Array
    width: float

    @property
    def d(self) -> int:
        return self.means.shape[-1]

    @property
    def ds(self) -> int:
        return 1

    @property
    def box(self) -> None:
        return None


def states(shape: tuple[int, ...]) -> Array:
    """The constant context: ones (*shape, 1)."""
    return jnp.ones((*shape, 1))


def reward(task: Bandit, a: Array) -> Array:
    """Reward of actions a (..., d): (...,)."""
    bumps = jnp.exp(-0.5 * jnp.sum(jnp.square(a[..., None, :] - task.centres), axis=-1) / task.width**2)
    return bumps @ task.heights - 0.5 * jnp.sum(jnp.square(a), axis=-1)


def oracle(task: Bandit, heads: int = 2, scale: float = 1.0) -> Callable[[Array, Array], Array]:
    """The reward, times `scale`, as a critic with equal heads: (s, a) -> (heads, ...)."""

    def critic(s: Array, a: Array) -> Array:
        q = scale * reward(task, a)
        return jnp.broadcast_to(q, (heads, *q.shape))

    return critic


def sample(task: Bandit, key: Key, shape: tuple[int, ...]) -> Array:
    """Actions of the behaviour (*shape, d)."""
    k_component, k_noise = jax.random.split(key)
    component = jax.random.categorical(k_component, jnp.log(task.weights), shape=shape)
    return task.means[component] + task.std * jax.random.normal(k_noise, (*shape, task.d))


def log_density(task: Bandit, x: Array, alpha: Array | float = 1.0, sigma: Array | float = 0.0) -> Array:
    """Log-density at x (..., d) of alpha a + sigma eps with a drawn from the behaviour; alpha, sigma () or (...,)."""
    logits, _, variance = _responsibilities(task, x, alpha, sigma)
    constant = 0.5 * task.d * jnp.log(2.0 * jnp.pi * variance)
    return jax.scipy.special.logsumexp(logits, axis=-1) - constant


def denoised(task: Bandit, x: Array, alpha: Array, sigma: Array) -> Array:
    """The posterior mean E[a | alpha a + sigma eps = x] under the behaviour, exact: (..., d).

    Component j has posterior mean m_j + alpha v (x - alpha m_j) / (alpha^2 v + sigma^2), v = std^2.
    """
    logits, gap, variance = _responsibilities(task, x, alpha, sigma)
    gain = (jnp.asarray(alpha) * task.std**2 / variance)[..., None, None]
    return jnp.einsum("...m,...md->...d", jax.nn.softmax(logits, axis=-1), task.means + gain * gap)


def _responsibilities(task: Bandit, x: Array, alpha, sigma) -> tuple[Array, Array, Array]:
    variance = jnp.square(alpha) * task.std**2 + jnp.square(sigma)
    gap = x[..., None, :] - jnp.asarray(alpha)[..., None, None] * task.means
    return jnp.log(task.weights) - 0.5 * jnp.sum(gap**2, axis=-1) / variance[..., None], gap, variance


def behaviour(task: Bandit, path: Path, grid: Array, sampler: str = "ancestral", min_std: float = 0.1) -> Field:
    """The exact field policy of the behaviour on any path: what perfect cloning would learn."""

    def net(x: Array, t: Array, s: Array) -> Array:
        t = jnp.broadcast_to(t, x.shape[:-1])
        return denoised(task, x, path.alpha(t), path.sigma(t))

    return Field(net, path, grid, task.d, "x0", sampler, min_std)


def _circle(n: int, radius: float, phase: float = 0.0) -> np.ndarray:
    angle = 2 * np.pi * (np.arange(n) + phase) / n
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _spiral(n: int, turns: float, start: float, end: float, phase: float = 0.0) -> np.ndarray:
    """Points of an Archimedean spiral, about equally spaced along it."""
    u = np.sqrt(np.linspace((start / end) ** 2, 1.0, n))
    angle = 2 * np.pi * turns * u + phase
    return end * u[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _moons(n: int) -> np.ndarray:
    angle = np.pi * (np.arange(n) + 0.5) / n
    upper = np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], axis=-1)
    return 0.6 * np.concatenate([upper, -upper])


def _checkerboard(per_side: int) -> np.ndarray:
    """A fine lattice on the dark squares of a 4 x 4 board on [-1, 1]^2."""
    inside = (np.arange(per_side) + 0.5) / per_side * 0.5
    lattice = np.stack(np.meshgrid(inside, inside, indexing="ij"), axis=-1).reshape(-1, 2)
    corners = [(-1 + 0.5 * i, -1 + 0.5 * j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    return np.concatenate([lattice + corner for corner in corners])


def _task(name: str, means: np.ndarray, std: float, every: int, width: float, weights=None) -> Bandit:
    """A bandit whose bumps sit on every `every`-th behaviour component, with heights that rise from 0.2 to 1."""
    means = np.asarray(means, np.float32)
    weights = np.full(len(means), 1.0) if weights is None else np.asarray(weights)
    centres = means[::every]
    heights = np.linspace(0.2, 1.0, len(centres))
    arrays = (jnp.asarray(v, jnp.float32) for v in (means, weights / weights.sum(), centres, heights))
    means_, weights_, centres_, heights_ = arrays
    return Bandit(name, means_, weights_, std, centres_, heights_, width)


def _rings() -> np.ndarray:
    return np.concatenate([_circle(8 * k, 0.3 * k) for k in (1, 2, 3)])


MAKE: dict[str, Callable[[str], Bandit]] = {
    "8gaussians": lambda name: _task(name, _circle(8, 0.8), 0.08, 1, 0.2),
    "swissroll": lambda name: _task(name, _spiral(48, 1.5, 0.2, 0.95), 0.04, 6, 0.15),
    "2spirals": lambda name: _task(
        name, np.concatenate([_spiral(24, 0.75, 0.15, 0.95), _spiral(24, 0.75, 0.15, 0.95, np.pi)]), 0.04, 6, 0.15
    ),
    "circles": lambda name: _task(name, np.concatenate([_circle(16, 0.4), _circle(32, 0.85)]), 0.04, 6, 0.15),
    "rings": lambda name: _task(name, _rings(), 0.04, 6, 0.15),
    "moons": lambda name: _task(name, _moons(24), 0.05, 6, 0.15),
    "checkerboard": lambda name: _task(name, _checkerboard(4), 0.05, 16, 0.2),
    "two-modes-1d": lambda name: _task(name, np.array([[-0.6], [0.6]]), 0.15, 1, 0.25),
    "unequal-1d": lambda name: _task(name, np.array([[-0.8], [-0.1], [0.7]]), 0.12, 1, 0.2, weights=[0.2, 0.5, 0.3]),
}

NAMES = tuple(MAKE)


def get(name: str) -> Bandit:
    """The bandit of a name, without its suite. Errors: UnknownName with the nearest one."""
    if name not in MAKE:
        raise unknown("task", f"bandit/{name}", [f"bandit/{n}" for n in NAMES])
    return MAKE[name](f"bandit/{name}")
