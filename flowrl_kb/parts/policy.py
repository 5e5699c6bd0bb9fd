"""Policy classes. Conditional axis `policy`: wraps a bare network into the object that losses receive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from flowrl_kb.parts import prediction as predictions
from flowrl_kb.parts import sampler as samplers
from flowrl_kb.parts.path import coefficients, rates
from flowrl_kb.parts.types import Array, Key, Path


@dataclass(frozen=True)
class Field:
    """A field policy (see `types.FieldPolicy`): `net(x, t, s)` outputs what `prediction` names.

    `noise(x, t, s)` (..., d) is the standard deviation of a step where the policy learns it.
    """

    net: Callable[[Array, Array, Array], Array]
    path: Path
    grid: Array
    dim: int
    prediction: str = "eps"
    sampler: str = "ancestral"
    min_std: float = 0.1
    box: float | None = None
    mixing: float = 0.95
    noise_level: float = 0.7
    noise: Callable[[Array, Array, Array], Array] | None = None

    @property
    def copies(self) -> int:
        """How many copies of the action the state of the sampler holds."""
        return samplers.COPIES.get(self.sampler, 1)

    def pair(self, x: Array, t: Array, s: Array) -> tuple[Array, Array]:
        """Denoised action and noise at (x, t, s)."""
        return getattr(predictions, self.prediction)(self.path, self.net(x, t, s), x, t)

    def eps(self, x: Array, t: Array, s: Array) -> Array:
        return self.pair(x, t, s)[1]

    def x0(self, x: Array, t: Array, s: Array) -> Array:
        return self.pair(x, t, s)[0]

    def velocity(self, x: Array, t: Array, s: Array) -> Array:
        if self.prediction == "velocity":
            return self.net(x, t, s)
        a, noise = self.pair(x, t, s)
        d_alpha, d_sigma = rates(self.path, t)
        return d_alpha * a + d_sigma * noise

    def score(self, x: Array, t: Array, s: Array) -> Array:
        return -self.eps(x, t, s) / coefficients(self.path, t)[1]

    def step(self, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
        return getattr(samplers, self.sampler.replace("-", "_"))(self, x, k, s)

    def from_noise(self, z: Array, s: Array) -> Array:
        """The noise-free action that the sampler makes of unit noise z (..., d), the same for each copy."""
        z = z if self.copies == 1 else jnp.concatenate([z] * self.copies, axis=-1)
        return self.executed(samplers.run(self, samplers.start(self, z), s, None)[-1])

    def chain(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        """All sampler states (K+1, *lead, ..., copies d), noise first; the last one holds the unclipped action."""
        first, rest = jax.random.split(key)
        z = jax.random.normal(first, (*lead, *s.shape[:-1], self.copies * self.dim))
        return samplers.run(self, samplers.start(self, z), s, rest)

    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        """One action for each state, or `lead` of them: (*lead, ..., d)."""
        return self.executed(self.chain(key, s, lead)[-1])

    def action(self, x: Array) -> Array:
        """The unclipped action (..., d) of a final sampler state: the mean of its copies."""
        return x if self.copies == 1 else jnp.mean(jnp.stack(jnp.split(x, self.copies, axis=-1)), axis=0)

    def executed(self, x: Array) -> Array:
        """The action (..., d) of a final sampler state, clipped to the box."""
        a = self.action(x)
        return a if self.box is None else jnp.clip(a, -self.box, self.box)


@dataclass(frozen=True)
class Map:
    """A one-step policy a = net(s, z); executed actions are clipped to the box, those of a call are not."""

    net: Callable[[Array, Array], Array]
    dim: int
    box: float | None = None

    def __call__(self, s: Array, z: Array) -> Array:
        return self.net(s, z)

    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        return self.from_noise(jax.random.normal(key, (*lead, *s.shape[:-1], self.dim)), s)

    def from_noise(self, z: Array, s: Array) -> Array:
        """The executed action of unit noise z (..., d)."""
        a = self.net(s, z)
        return a if self.box is None else jnp.clip(a, -self.box, self.box)


@dataclass(frozen=True)
class Gaussian:
    """A diagonal Gaussian `net(s) -> (mean, log_std)`; with `squash` the action is its tanh.

    log pi(a) = log N(u; mean, std) - sum log(1 - tanh(u)^2), u = atanh(a). Source: Haarnoja et al. 2018, appendix C.
    """

    net: Callable[[Array], tuple[Array, Array]]
    dim: int
    squash: bool = False

    def mean(self, s: Array) -> Array:
        mean = self.net(s)[0]
        return jnp.tanh(mean) if self.squash else mean

    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        return self.sample_with_log_prob(key, s, lead)[0]

    def sample_with_log_prob(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> tuple[Array, Array]:
        """Reparameterised samples (*lead, ..., d) and their log-densities, without inverting the squashing."""
        mean, log_std = self.net(s)
        u = mean + jnp.exp(log_std) * jax.random.normal(key, (*lead, *mean.shape))
        return (jnp.tanh(u) if self.squash else u), self._log_prob_of_raw(s, u)

    def log_prob(self, s: Array, a: Array) -> Array:
        u = jnp.arctanh(jnp.clip(a, -1 + 1e-6, 1 - 1e-6)) if self.squash else a
        return self._log_prob_of_raw(s, u)

    def entropy(self, s: Array) -> Array:
        """Entropy of the Gaussian before squashing."""
        return jnp.sum(self.net(s)[1] + 0.5 * jnp.log(2 * jnp.pi * jnp.e), axis=-1)

    def _log_prob_of_raw(self, s: Array, u: Array) -> Array:
        mean, log_std = self.net(s)
        log_p = -0.5 * jnp.square((u - mean) / jnp.exp(log_std)) - log_std - 0.5 * jnp.log(2 * jnp.pi)
        if self.squash:
            log_p = log_p - 2.0 * (jnp.log(2.0) - u - jax.nn.softplus(-2.0 * u))
        return jnp.sum(log_p, axis=-1)


@dataclass(frozen=True)
class Deterministic:
    """A point policy a = net(s)."""

    net: Callable[[Array], Array]
    dim: int

    def mean(self, s: Array) -> Array:
        return self.net(s)

    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        a = self.net(s)
        return jnp.broadcast_to(a, (*lead, *a.shape))


KINDS = {"field": Field, "flat": Field, "map": Map, "gaussian": Gaussian, "deterministic": Deterministic}
"""Policy class of each value of the axis."""
