"""Policies beside a frozen generator: over its noise (`space=latent`) or what is added to its action (`residual`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from flowrl_kb.parts import sampler as samplers
from flowrl_kb.parts.policy import Field, Gaussian
from flowrl_kb.parts.types import Array, Batch, Key, Loss, Models


@dataclass(frozen=True)
class Steered:
    """The actions that `generator` makes of noises scale x, x drawn from `over`; log-densities are those of x.

    Not to be confused with the density of the action, which has no closed form.
    """

    over: Gaussian
    generator: Field
    scale: float

    @property
    def dim(self) -> int:
        return self.over.dim

    def noise(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> tuple[Array, Array]:
        """Unit noises (*lead, ..., d) of the generator and the log-densities (*lead, ...) of x."""
        x, log_prob = self.over.sample_with_log_prob(key, s, lead)
        return self.scale * x, log_prob

    def sample_with_log_prob(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> tuple[Array, Array]:
        w, log_prob = self.noise(key, s, lead)
        return self.generator.from_noise(w, s), log_prob

    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        return self.sample_with_log_prob(key, s, lead)[0]

    def mean(self, s: Array) -> Array:
        """The action of the mean noise."""
        return self.generator.from_noise(self.scale * self.over.mean(s), s)


@dataclass(frozen=True)
class Shifted:
    """Samples of `generator` plus scale x, x drawn from `over`; log-densities are those of x.

    Not to be confused with `Steered`, which acts before the generator and cannot leave its range.
    """

    over: Gaussian
    generator: Field
    scale: float

    @property
    def dim(self) -> int:
        return self.over.dim

    def sample_with_log_prob(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> tuple[Array, Array]:
        k_base, k_residual = jax.random.split(key)
        x, log_prob = self.over.sample_with_log_prob(k_residual, s, lead)
        return self.generator.sample(k_base, s, lead) + self.scale * x, log_prob

    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        return self.sample_with_log_prob(key, s, lead)[0]


BESIDE: dict[str, Callable] = {"latent": Steered, "residual": Shifted}
"""How a policy acts beside a frozen generator, by the value of the axis `space`."""


def steering(space: str, *, steering_scale) -> Callable[[Models], Models]:
    """Models whose actor, its average and its previous iterate act with the behaviour model."""
    beside = BESIDE[space]

    def of(models: Models) -> Models:
        actors = {name: getattr(models, name) for name in ("actor", "target_actor", "old")}
        return models._replace(**{k: a and beside(a, models.behaviour, steering_scale) for k, a in actors.items()})

    return of


def through(function: Callable, steer: Callable[[Models], Models]) -> Callable:
    """A loss or an acting rule on such models."""
    return lambda models, *rest: function(steer(models), *rest)


def noise_value(models: Models, s: Array, w: Array, target: bool = False) -> Array:
    """Heads (H, ...) of the value of unit noise w (..., d): that of the generator's chain at its first state.

    It is the path value of a chain that nobody moves: the divergences vanish, and what is left of the recursion over
    steps is the value of the action at its end. Source: DSRL (2506.15799), noise aliasing.
    """
    critic: Any = models.target_step_critic if target else models.step_critic
    field = models.behaviour
    return critic(s, samplers.start(field, w), jnp.broadcast_to(field.grid[0], w.shape[:-1]))


def noise_values() -> dict[str, Loss]:
    """V_h(s, w) <- Q_h(s, G(s, w)) for w ~ N(0, I), G the generator; each head by its own, summed over heads."""

    def loss(models: Models, batch: Batch, key: Key):
        w = jax.random.normal(key, batch.a.shape)
        target = jax.lax.stop_gradient(models.critic(batch.s, models.behaviour.from_noise(w, batch.s)))
        heads = noise_value(models, batch.s, w)
        return jnp.mean(jnp.square(heads - target), axis=-1).sum(), {"noise_value": jnp.mean(heads)}

    return {"step_critic": loss}
