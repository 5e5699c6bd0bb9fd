"""Which copy of the actor proposes the next actions of a Bellman target. Conditional axis `backup-policy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax

from flowrl_kb.parts.types import Array, Key, Models


class Executed(NamedTuple):
    """What the acting rule executes, sampled as a policy is."""

    act: Callable[[Models, Array, Key], Array]
    models: Models

    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        keys = jax.random.split(key, lead)
        one = lambda k: self.act(self.models, s, k)  # noqa: E731
        for _ in lead:
            one = jax.vmap(one)
        return one(keys)


class Drawn(NamedTuple):
    """Actions (N, B, d) that were drawn before, given out as a policy's samples."""

    actions: Array

    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array:
        return self.actions


def online(models: Models):
    """The actor that is being trained."""
    return models.actor


def target(models: Models):
    """Its slowly moving average."""
    return models.target_actor


def old(models: Models):
    """The frozen previous iterate."""
    return models.old


def guided(models: Models, *, guiding):
    """The moving average under the guidance with which it acts."""
    return guiding(models).target_actor


def acting(models: Models, *, act):
    """The acting rule, with its selection and its noise."""
    return Executed(act, models)
