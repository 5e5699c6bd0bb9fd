"""Guided sampling: what the route `inference-guidance` executes in place of the trained field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp

from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Array, Key, Models

Act = Callable[[Models, Array, Key], Array]
Scale = Callable[[Array], Array]


def guided(models: Models, scale: Scale, guidance_weight: float) -> Field:
    """The actor with noise eps_nu - w scale(sigma) grad_x E(x, t, s): at scale sigma the score moves by w grad E.

    Also called energy or classifier guidance. Not to be confused with a field that was trained to the shifted noise.
    """
    actor = models.actor

    def eps(x: Array, t: Array, s: Array) -> Array:
        t = jnp.broadcast_to(t, x.shape[:-1])
        slope = jax.grad(lambda points: jnp.sum(models.energy(points, t, s)))(x)
        return actor.eps(x, t, s) - guidance_weight * scale(coefficients(actor.path, t)[1]) * slope

    return replace(actor, net=eps, prediction="eps")


def acting(act: Act, scale: Scale, *, guidance_weight) -> Act:
    """The acting rule `act` on samples of the guided field."""
    return lambda models, s, key: act(models._replace(actor=guided(models, scale, guidance_weight)), s, key)
