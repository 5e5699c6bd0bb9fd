"""Exact target laws of bandits by quadrature on a grid, exact samples from them, and distances that allow atoms."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts.types import Array, Key
from flowrl_kb.tasks import bandits
from flowrl_kb.tasks.bandits import Bandit

SIDE = {1: 4001, 2: 301}
"""Grid points for each dimension."""


class Grid(NamedTuple):
    """Midpoints (G, d) of cells of side `spacing` that cover [-half, half]^d."""

    points: Array
    spacing: float
    half: float


class Law(NamedTuple):
    """A law on a grid: `mass` (G,) sums to one; the density is mass / spacing^d."""

    grid: Grid
    mass: Array

    @property
    def density(self) -> Array:
        return self.mass / self.grid.spacing ** self.grid.points.shape[-1]

    def mean(self, values: Array) -> Array:
        """Expectation of `values` (G,) under the law."""
        return jnp.sum(self.mass * values)


def grid(d: int, half: float = 2.0, side: int | None = None) -> Grid:
    """A regular grid. Arguments: `side` points for each dimension (default by dimension)."""
    side = side or SIDE[d]
    spacing = 2.0 * half / side
    axis = (-half + spacing * (np.arange(side) + 0.5)).astype(np.float32)
    points = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d)
    return Grid(jnp.asarray(points), spacing, half)


def _normalised(over: Grid, log_density: Array) -> Law:
    return Law(over, jax.nn.softmax(log_density))


def behaviour(task: Bandit, over: Grid | None = None) -> Law:
    """The behaviour nu itself."""
    over = over or grid(task.d)
    return _normalised(over, bandits.log_density(task, over.points))


def boltzmann(task: Bandit, *, temperature: float, over: Grid | None = None) -> Law:
    """exp(r / lambda) / Z: the target of a flat reference."""
    over = over or grid(task.d)
    return _normalised(over, bandits.reward(task, over.points) / temperature)


def tilt(task: Bandit, *, temperature: float, over: Grid | None = None) -> Law:
    """nu exp(r / lambda) / Z: the target of a KL penalty to the behaviour."""
    over = over or grid(task.d)
    log_nu = bandits.log_density(task, over.points)
    return _normalised(over, log_nu + bandits.reward(task, over.points) / temperature)


def best_of_n(task: Bandit, *, best_of: int, over: Grid | None = None) -> Law:
    """The best of N behaviour samples: N nu F^(N-1), F(a) = P(r(a') <= r(a)).

    On a grid the mass of the i-th worst cell is F_i^N - F_(i-1)^N, which sums to one exactly.
    """
    nu = behaviour(task, over)
    order = jnp.argsort(bandits.reward(task, nu.grid.points))
    below = jnp.clip(jnp.cumsum(nu.mass[order]), 0.0, 1.0).at[-1].set(1.0)
    mass = jnp.diff(below**best_of, prepend=0.0)
    return Law(nu.grid, jnp.zeros_like(mass).at[order].set(mass))


def linear(task: Bandit, *, temperature: float, over: Grid | None = None) -> Law:
    """nu (1 + (r - c) / lambda)_+: the target of a chi-square penalty; c makes it sum to one.

    c is found by bisection on [E_nu r, max r + lambda]: cutting raises it above the mean.
    """
    nu = behaviour(task, over)
    r = bandits.reward(task, nu.grid.points)

    def cut(c: Array) -> Array:
        return nu.mass * jnp.maximum(1.0 + (r - c) / temperature, 0.0)

    def halve(_, bounds):
        low, high = bounds
        c = 0.5 * (low + high)
        heavy = jnp.sum(cut(c)) > 1.0
        return jnp.where(heavy, c, low), jnp.where(heavy, high, c)

    low, high = jax.lax.fori_loop(0, 60, halve, (nu.mean(r), jnp.max(r) + temperature))
    mass = cut(0.5 * (low + high))
    return Law(nu.grid, mass / jnp.sum(mass))


def reciprocal(task: Bandit, *, temperature: float, over: Grid | None = None) -> Law:
    """nu lambda / (c - r): the target of a forward-KL penalty of weight lambda; c > max r makes it sum to one.

    c is found by bisection on (max r + lambda min nu-mass, max r + lambda].
    """
    nu = behaviour(task, over)
    r = bandits.reward(task, nu.grid.points)
    # nu underflows to zero far away; there the law has no mass and its reward must not bound c.
    top = jnp.max(jnp.where(nu.mass > 0, r, -jnp.inf))

    def halve(_, bounds):
        low, high = bounds
        c = 0.5 * (low + high)
        too_small = jnp.sum(nu.mass * temperature / (c - r)) > 1.0
        return jnp.where(too_small, c, low), jnp.where(too_small, high, c)

    low, high = jax.lax.fori_loop(0, 60, halve, (top, top + temperature))
    mass = jnp.where(nu.mass > 0, nu.mass * temperature / (0.5 * (low + high) - r), 0.0)
    return Law(nu.grid, mass / jnp.sum(mass))


def noisy_maximiser(
    task: Bandit, *, target_entropy: float, noise_std: float, actor_noise_std: float, over: Grid | None = None
) -> Law:
    """N(a*, sigma^2 I), a* the maximiser of r * N(0, sigma_actor^2 I): the target of Q alone, acting with added noise.

    The trained factor of both noises settles where the entropy of executed actions is d target_entropy:
    log sigma = target_entropy - log(2 pi e) / 2, and sigma_actor = sigma actor_noise_std / noise_std. Smoothing makes
    bumps wider, w^2 + sigma_actor^2, and lower, by (w^2 / (w^2 + sigma_actor^2))^(d/2). a* is taken on the grid.
    """
    over = over or grid(task.d)
    sigma = jnp.exp(target_entropy) / jnp.sqrt(2.0 * jnp.pi * jnp.e)
    wide = task.width**2 + (sigma * actor_noise_std / noise_std) ** 2
    lower = task.heights * (task.width**2 / wide) ** (task.d / 2)
    smooth = bandits.reward(task._replace(heights=lower, width=jnp.sqrt(wide)), over.points)
    away = jnp.sum(jnp.square(over.points - over.points[jnp.argmax(smooth)]), axis=-1)
    return _normalised(over, -0.5 * away / sigma**2)


PREDICTORS = {
    "behaviour": behaviour,
    "boltzmann": boltzmann,
    "tilt": tilt,
    "best-of-n": best_of_n,
    "linear": linear,
    "reciprocal": reciprocal,
    "noisy-maximiser": noisy_maximiser,
}
"""The laws that a card's `law.predictor` may name."""

EXECUTED = ("best-of-n", "noisy-maximiser")
"""Predictors that describe the executed action; the others describe the generator."""


def of_executed(predictor: str | None, cell: Mapping[str, str]) -> bool:
    """Whether a predicted law is one of executed actions: by its predictor, or because a guided sampler makes them."""
    return predictor in EXECUTED or cell.get("route") == "inference-guidance"


def predict(predictor: str | None, task: Bandit, hyper: Mapping[str, Any]) -> Law | None:
    """The law that a card predicts, or None where it names none or needs a hyper-parameter that the card lacks."""
    function = PREDICTORS.get(predictor or "")
    if function is None:
        return None
    wanted = [n for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY]
    needed = [name for name in wanted if name != "over"]
    if any(hyper.get(name) is None for name in needed):
        return None
    over = grid(task.d)
    # One compiled program instead of one for each operation.
    return Law(over, jax.jit(lambda: function(task, over=over, **{n: hyper[n] for n in needed}).mass)())


def sample(law: Law, key: Key, n: int) -> Array:
    """n actions (n, d): a cell by its mass, then uniform inside the cell."""
    k_cell, k_inside = jax.random.split(key)
    # Inverse of the distribution function: a categorical draw would need n x G Gumbel variables.
    total = jnp.cumsum(law.mass)
    cell = jnp.searchsorted(total, jax.random.uniform(k_cell, (n,)) * total[-1])
    cell = jnp.clip(cell, 0, law.mass.shape[0] - 1)
    inside = jax.random.uniform(k_inside, (n, law.grid.points.shape[-1]), minval=-0.5, maxval=0.5)
    return law.grid.points[cell] + law.grid.spacing * inside


def _mean_distance(x: Array, y: Array, same: bool) -> Array:
    square = jnp.sum(jnp.square(x[:, None] - y[None]), axis=-1)
    # The gradient is never taken; max keeps rounding below zero away from the root.
    total = jnp.sum(jnp.sqrt(jnp.maximum(square, 0.0)))
    return total / (len(x) * (len(x) - 1)) if same else total / (len(x) * len(y))


def energy_distance(x: Array, y: Array) -> Array:
    """Unbiased energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| of samples x (n, d), y (m, d).

    Zero in expectation exactly when both laws agree, so that it may come out slightly negative. Valid with atoms.
    Source: Szekely and Rizzo 2013.
    """
    return 2 * _mean_distance(x, y, False) - _mean_distance(x, x, True) - _mean_distance(y, y, True)


def sliced_w1(x: Array, y: Array, key: Key, directions: int = 64) -> Array:
    """Mean over random directions of the one-dimensional Wasserstein-1 distance of equally many samples (n, d)."""
    u = jax.random.normal(key, (directions, x.shape[-1]))
    u = u / jnp.linalg.norm(u, axis=-1, keepdims=True)
    return jnp.mean(jnp.abs(jnp.sort(x @ u.T, axis=0) - jnp.sort(y @ u.T, axis=0)))


def total_variation(law: Law, x: Array, bins: int = 30) -> Array:
    """Half the L1 distance between the histogram of x (n, d) and the law on the same coarse cells (biased upwards)."""
    d = law.grid.points.shape[-1]

    def coarse(points: Array, weights: Array) -> Array:
        index = jnp.clip(jnp.floor((points / law.grid.half + 1.0) * 0.5 * bins), 0, bins - 1).astype(int)
        flat = sum(index[:, i] * bins**i for i in range(d))
        return jnp.zeros(bins**d).at[flat].add(weights)

    return 0.5 * jnp.sum(jnp.abs(coarse(law.grid.points, law.mass) - coarse(x, jnp.full(len(x), 1.0 / len(x)))))
