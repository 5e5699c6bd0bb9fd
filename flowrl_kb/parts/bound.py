"""The parts of one cell, and what every route asks of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.parts.direction import Draws
from flowrl_kb.parts.operator import Operator
from flowrl_kb.parts.reference import Reference
from flowrl_kb.parts.types import Array, Batch, Key, Models


class Parts(NamedTuple):
    """The parts of one cell, each bound to its hyper-parameters."""

    operator: Operator
    reference: Reference
    source: Callable | None = None
    direction: Callable | None = None
    intermediate_value: Callable | None = None
    likelihood: Callable | None = None
    pull: Callable[[Models, Batch], Array] | None = None
    space: Callable | None = None
    error: Callable | None = None
    scale: Callable | None = None
    share: Callable | None = None
    aggregation: Callable | None = None
    normaliser: Callable | None = None
    perturb: Callable[[Models, Array, Key], Array] | None = None
    baseline: Callable[[Models, Array], Array] = lambda models, s: 0.0
    baseline_of: int = 0
    of_returns: bool = False
    target_critic: bool = False
    one_step: bool = False
    whole_chain: bool = False
    noise_value: Callable | None = None
    steered: bool = False
    take: Callable | None = None
    candidates: int = 1
    support: int = 1
    copy_weight: float = 0.0
    step_max: float = jnp.inf
    trained_temperature: bool = False
    box: float | None = None


def critic_of(models: Models, p: Parts):
    return models.target_critic if p.target_critic else models.critic


def draws_of(models: Models, batch: Batch, key: Key, p: Parts) -> Draws:
    k_source, k_direction, *k_head = jax.random.split(key, 3 if p.operator.move else 2)
    a = p.source(models, batch, k_source, p.support)
    if p.operator.move:
        a = moved(models, batch, a, k_head[0], p)
    return jax.lax.stop_gradient(p.direction(models.actor, a, k_direction, p.candidates, p.box))


def value_of(models: Models, batch: Batch, key: Key, p: Parts):
    """The aggregated critic a -> q(a) at the batch's states."""
    critic = critic_of(models, p)
    return lambda a: p.aggregation(critic(batch.s, a), key)[0]


def moved(models: Models, batch: Batch, a: Array, key: Key, p: Parts) -> Array:
    """Where the operator takes the actions a (..., B, d), which are constants of the loss."""
    return jax.lax.stop_gradient(p.operator.move(value_of(models, batch, key, p), a))


def divisor_of(models: Models, batch: Batch, key: Key, p: Parts, *gradients: Array) -> Array:
    """What values are divided by: a statistic of Q at the batch's actions, or of gradients where they are read.

    Times the temperature where that is trained and enters no operator, as a constant of the loss.
    """
    q, rest = p.aggregation(critic_of(models, p)(batch.s, batch.a), key)
    divisor = p.normaliser(q, rest, *gradients)
    return divisor * jnp.exp(jax.lax.stop_gradient(models.log_temperature)) if p.trained_temperature else divisor
