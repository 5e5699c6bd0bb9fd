"""The laboratory: seeded contextual bandits whose laws have exact denoisers.

A scenario fixes four Gaussian-mixture laws (behaviour, previous, current, averaged), two pairs of critics that
disagree, and a context law. Scenarios are arrays, so that a loss compiles once and sees all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.types import Array, Key, Path

CONTEXT, COMPONENTS, BUMPS = 2, 3, 4
LAWS = ("behaviour", "previous", "current", "averaged")
OFFSET = 2.0
"""Mean height of Q: a normaliser by |Q| must not divide by a sample mean whose sign is uncertain."""

SUPPORT = (-4.0, 8.0)
"""Range of a categorical critic."""


class Mixture(NamedTuple):
    """Weights (C,), means at context zero (C, d), their slope in the context (C, d, ds), deviations (C,)."""

    log_weight: Array
    mean: Array
    slope: Array
    std: Array


class Bumps(NamedTuple):
    """Q_h(s, a) = sum_i height_hi exp(-|a - centre_i - slope_i s|^2 / 2 width^2) - curvature |a|^2 / 2 + tilt_h . a
    + offset_h."""

    height: Array
    centre: Array
    slope: Array
    width: Array
    curvature: Array
    tilt: Array
    offset: Array


class Scenario(NamedTuple):
    """Laws stacked along a leading axis in the order of LAWS, and the online and target critics."""

    laws: Mixture
    critic: Bumps
    target_critic: Bumps


def scenario(seed: int, drift: float, q_scale: float, dim: int = 2) -> Scenario:
    """A random scenario of float32 arrays.

    `drift` is how far previous, current and averaged laws stand apart (0: previous = current). Drawn with NumPy: the
    same arrays on every machine, and nothing to compile.
    """
    rng = np.random.default_rng(seed)

    def log_softmax(x: np.ndarray) -> np.ndarray:
        return x - np.log(np.exp(x).sum())

    log_weight = log_softmax(0.3 * rng.normal(size=COMPONENTS))
    mean = 0.55 * rng.normal(size=(COMPONENTS, dim))
    slope = 0.25 * rng.normal(size=(COMPONENTS, dim, CONTEXT))
    std = 0.28 + 0.10 * rng.uniform(size=COMPONENTS)
    direction, tilt = rng.normal(size=(COMPONENTS, dim)), rng.normal(size=COMPONENTS)
    offsets = {"behaviour": 0.0, "previous": 1.0, "current": 1.0 + drift, "averaged": 1.0 + 2.0 * drift}
    laws = [
        Mixture(log_softmax(log_weight + 0.5 * o * tilt), mean + 0.22 * o * direction, slope, std)
        for o in (offsets[name] for name in LAWS)
    ]
    height, centre = rng.normal(size=(2, BUMPS)), 0.8 * rng.normal(size=(BUMPS, dim))
    lean, shift = rng.normal(size=(2, dim)), rng.normal(size=(2, BUMPS))
    moves = 0.3 * rng.normal(size=(BUMPS, dim, CONTEXT))

    def critic(extra: float) -> Bumps:
        heights = q_scale * (height + extra * shift)
        offset = q_scale * OFFSET * np.array([1.0, 1.2])
        return Bumps(heights, centre, moves, 0.5, 0.8 * q_scale, 0.4 * q_scale * lean, offset)

    made = Scenario(jax.tree.map(lambda *a: np.stack(a), *laws), critic(0.0), critic(0.4))
    return jax.tree.map(lambda a: np.asarray(a, np.float32), made)


def _stack(*scenarios: Scenario) -> Scenario:
    return jax.tree.map(lambda *a: np.stack(a), *scenarios)


@cache
def drifted(dim: int = 2) -> Scenario:
    """The three scenarios in which the previous policy differs from the current one, along a leading axis."""
    return _stack(scenario(1, 0.5, 1.0, dim), scenario(2, 0.8, 0.6, dim), scenario(3, 0.5, 1.3, dim))


@cache
def at_old(dim: int = 2) -> Scenario:
    """The same three scenarios with the current policy put back on the previous one."""
    return _stack(scenario(1, 0.0, 1.0, dim), scenario(2, 0.0, 0.6, dim), scenario(3, 0.0, 1.3, dim))


def law(scene: Scenario, name: str) -> Mixture:
    """One of the four laws of one scenario."""
    return jax.tree.map(lambda a: jnp.asarray(a)[LAWS.index(name)], scene.laws)


def means(mixture: Mixture, s: Array) -> Array:
    """Component means (..., C, d) at contexts s (..., ds)."""
    return mixture.mean + jnp.einsum("cij,...j->...ci", mixture.slope, s)


def exact_eps(mixture: Mixture, path: Path) -> Callable[[Array, Array, Array], Array]:
    """E[eps | x_t] of the mixture noised along the path: the component posteriors' means, averaged."""

    def eps(x: Array, t: Array, s: Array) -> Array:
        alpha, sigma = (c[..., None] for c in coefficients(path, jnp.asarray(t)))
        variance = (alpha * mixture.std[:, None]) ** 2 + sigma**2
        away = x[..., None, :] - alpha * means(mixture, s)
        log_p = mixture.log_weight - 0.5 * jnp.sum(away**2 / variance + jnp.log(variance), axis=-1)
        return jnp.sum(jax.nn.softmax(log_p, axis=-1)[..., None] * sigma * away / variance, axis=-2)

    return eps


def draw(mixture: Mixture, key: Key, s: Array) -> Array:
    """One action of the mixture for each context."""
    k_component, k_noise = jax.random.split(key)
    component = jax.random.categorical(k_component, mixture.log_weight, shape=s.shape[:-1])
    centre = jnp.take_along_axis(means(mixture, s), component[..., None, None], axis=-2)[..., 0, :]
    return centre + mixture.std[component][..., None] * jax.random.normal(k_noise, centre.shape)


Heads = Callable[[Array, Array], Array]


def q_heads(bumps: Bumps, extra: Heads | None = None, exact: Heads | None = None) -> Heads:
    """The critic (s, a) -> (H, ...), or `exact` in its place, plus a trained perturbation (..., H)."""

    def rough(s: Array, a: Array) -> Array:
        centre = bumps.centre + jnp.einsum("cij,...j->...ci", bumps.slope, s)
        kernel = jnp.exp(-0.5 * jnp.sum((a[..., None, :] - centre) ** 2, axis=-1) / bumps.width**2)
        hill = -0.5 * bumps.curvature * jnp.sum(a**2, axis=-1, keepdims=True) + bumps.offset
        return kernel @ bumps.height.T + a @ bumps.tilt.T + hill

    def heads(s: Array, a: Array) -> Array:
        q = rough(s, a) if exact is None else jnp.moveaxis(exact(s, a), 0, -1)
        if extra is not None:
            q = q + extra(s, a)
        return jnp.moveaxis(q, -1, 0)

    return heads


def step_heads(
    bumps: Bumps,
    path: Path,
    extra: Callable[[Path, Array, Array, Array], Array] | None = None,
    exact: Callable[[Array, Array, Array], Array] | None = None,
) -> Callable[[Array, Array, Array], Array]:
    """Values (s, x, t) -> (H, ...) of chain states: Q of the rescaled state, less of it the noisier the level.

    Plus a trained perturbation (..., H). No chain of the laboratory has these values, so that they are no fixed point;
    `exact` stands in their place.
    """

    def rough(s: Array, x: Array, t: Array) -> Array:
        size = jnp.sqrt(path.alpha(t) ** 2 + path.sigma(t) ** 2)
        return path.alpha(t) / size * q_heads(bumps)(s, x / size[..., None])

    def heads(s: Array, x: Array, t: Array) -> Array:
        q = (exact or rough)(s, x, t)
        return q if extra is None else q + jnp.moveaxis(extra(path, s, x, t), -1, 0)

    return heads


def spread_heads(bumps: Bumps, extra: Heads | None = None, exact: Heads | None = None) -> Heads:
    """Standard deviations (s, a) -> (H, ...) of a distributional critic, plus a trained perturbation (..., H).

    `exact` stands in the place of the former.
    """

    def heads(s: Array, a: Array) -> Array:
        spread = 0.5 + 0.2 * jnp.tanh(q_heads(bumps)(s, a) - OFFSET) if exact is None else exact(s, a)
        return spread if extra is None else spread + jnp.moveaxis(extra(s, a), -1, 0)

    return heads


def logit_heads(bumps: Bumps, atoms: int, extra: Heads | None = None, exact: Heads | None = None) -> Heads:
    """Log-odds (s, a) -> (H, ..., atoms) of a categorical critic around Q, plus a trained perturbation of that shape.

    -(z_n - Q)^2 / 2 at atoms that evenly fill SUPPORT; `exact` stands in their place.
    """

    def heads(s: Array, a: Array) -> Array:
        rough = lambda: -0.5 * jnp.square(jnp.linspace(*SUPPORT, atoms) - q_heads(bumps)(s, a)[..., None])  # noqa: E731
        logits = rough() if exact is None else exact(s, a)
        return logits if extra is None else logits + extra(s, a)

    return heads


def noisy_energy(
    bumps: Bumps, path: Path, extra: Callable | None = None, exact: Callable | None = None
) -> Callable[[Array, Array, Array], Array]:
    """An energy (x, t, s) -> (...) that no loss is at rest at, plus a trained perturbation `extra(path, x, t, s)`.

    The first head at x / sqrt(alpha^2 + sigma^2), times the share of signal alpha^2 / (alpha^2 + sigma^2); `exact`
    stands in its place.
    """

    def energy(x: Array, t: Array, s: Array) -> Array:
        alpha, sigma = coefficients(path, jnp.asarray(t))
        total = alpha**2 + sigma**2
        rough = lambda: (alpha**2 / total)[..., 0] * q_heads(bumps)(s, x / jnp.sqrt(total))[0]  # noqa: E731
        value = rough() if exact is None else exact(x, t, s)
        return value if extra is None else value + extra(path, x, t, s)

    return energy


def state_value(
    bumps: Bumps, dim: int, extra: Callable[[Array], Array] | None = None, exact: Callable[[Array], Array] | None = None
) -> Callable[[Array], Array]:
    """A state value: the first head at half of the context's leading coordinates, plus a trained perturbation.

    `exact` stands in the place of the former.
    """

    def value(s: Array) -> Array:
        a = 0.5 * jnp.take(s, np.arange(dim) % CONTEXT, axis=-1)
        return (q_heads(bumps)(s, a)[0] if exact is None else exact(s)) + (0.0 if extra is None else extra(s))

    return value
