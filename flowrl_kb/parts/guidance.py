"""Guided sampling: what the route `inference-guidance` executes in place of the trained field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.sampler import posterior_deviation
from flowrl_kb.parts.types import Array, Energy, Key, Models

Act = Callable[[Models, Array, Key], Array]
Scale = Callable[[Array, Callable[[], Array]], Array]
Guide = Callable[[Models], Energy]


def trained(models: Models) -> Energy:
    """The energy that is trained for it."""
    return models.energy


def naive(aggregation: Callable, *, temperature, actor_critic="online") -> Guide:
    """Q / lambda read at the noisy action, whatever its level."""

    def guide(models: Models) -> Energy:
        critic: Any = models.target_critic if actor_critic == "target" else models.critic
        return lambda x, t, s: aggregation(critic(s, x), None)[0] / temperature

    return guide


def guided(
    actor: Field,
    energy: Energy,
    scale: Scale,
    guidance_weight: float,
    drift: bool = False,
    divisor: Callable | None = None,
) -> Field:
    """The actor with noise eps_nu - w scale(sigma) grad_x E(x, t, s): at scale sigma the score moves by w grad E.

    With `drift`, w x is subtracted as well: on the straight path, with velocity (x - eps) / alpha from noise to action,
    w times the velocity of the noise -scale(sigma) grad E is added to that of the actor. `divisor` (axis `normaliser`)
    is what the gradient is divided by. Also called energy or classifier guidance. Not to be confused with a field that
    was trained to the shifted noise.
    """

    def eps(x: Array, t: Array, s: Array) -> Array:
        t = jnp.broadcast_to(t, x.shape[:-1])
        slope = jax.grad(lambda points: jnp.sum(energy(points, t, s)))(x)
        slope = slope if divisor is None else slope / divisor(None, None, slope)
        factor = scale(coefficients(actor.path, t)[1], partial(posterior_deviation, actor, t))
        noise = actor.eps(x, t, s) - guidance_weight * factor * slope
        return noise - guidance_weight * x if drift else noise

    return replace(actor, net=eps, prediction="eps")


def extrapolated(base: Field, conditioned: Field, guidance_weight: float) -> Field:
    """The conditioned model with noise eps_b + w (eps_c - eps_b); one path for both, so that velocities mix alike.

    At w = 1 it is the conditioned model, at w = 0 the base. Also called classifier-free guidance.
    """

    def eps(x: Array, t: Array, s: Array) -> Array:
        noise = base.eps(x, t, s)
        return noise + guidance_weight * (conditioned.eps(x, t, s) - noise)

    return replace(conditioned, net=eps, prediction="eps")


def guiding(
    guide: Guide, scale: Scale, drift: bool, divisor: Callable | None = None, *, guidance_weight
) -> Callable[[Models], Models]:
    """Models whose actor, and its average, are guided."""

    def of(models: Models) -> Models:
        actors = {"actor": models.actor, "target_actor": models.target_actor}
        made = partial(guided, energy=guide(models), scale=scale, guidance_weight=guidance_weight)
        return models._replace(**{k: a and made(a, drift=drift, divisor=divisor) for k, a in actors.items()})

    return of


def acting(act: Act, guiding: Callable[[Models], Models]) -> Act:
    """The acting rule `act` on samples of the guided field."""
    return lambda models, s, key: act(guiding(models), s, key)
