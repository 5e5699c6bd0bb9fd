"""Relative to which law the target is defined. Mechanism axis `reference`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from flowrl_kb.parts import source
from flowrl_kb.parts.types import Array, Batch, FieldPolicy, Key, Models


class Reference(NamedTuple):
    """`keeps_noise`: share of the source action's own noise in a regression target (0 for a flat reference).

    `actions(models, batch, key)` (B, d) are samples; `coupled(models, s, z)` (B, d) is the reference's action for
    unit noise z; `field(models)` is the field of its chain. `floor(models, batch, key)` (n, B, d) are actions that the
    operator does not weight: each counts `floor_weight` times all that it weights.
    """

    keeps_noise: float
    actions: Callable[[Models, Batch, Key], Array] | None = None
    coupled: Callable[[Models, Array, Array], Array] | None = None
    field: Callable[[Models], FieldPolicy] | None = None
    floor: Callable[[Models, Batch, Key], Array] | None = None
    floor_weight: float = 0.0


def uniform() -> Reference:
    """A flat law: with constant Q the score is zero, so nothing of the source's noise remains in the target."""
    return Reference(keeps_noise=0.0)


def fixed() -> Reference:
    """The data law: its samples are the batch's actions, its map the frozen behaviour model."""
    return Reference(
        keeps_noise=1.0,
        actions=lambda models, batch, key: batch.a,
        coupled=lambda models, s, z: models.behaviour.from_noise(z, s),
        field=lambda models: models.behaviour,
    )


def replay() -> Reference:
    """The law of the stored actions, which training itself fills."""
    return Reference(keeps_noise=1.0, actions=lambda models, batch, key: batch.a)


def previous() -> Reference:
    """The previous iterate: samples and map of the frozen copy."""
    return Reference(
        keeps_noise=1.0,
        actions=lambda models, batch, key: models.old.sample(key, batch.s),
        coupled=lambda models, s, z: models.old.from_noise(z, s),
        field=lambda models: models.old,
    )


def uniform_floor(*, floor_weight, floor_samples, box=None) -> Reference:
    """The policy itself, and beside what the operator makes of it `floor_samples` uniform actions for each state.

    With w = floor_weight and n = floor_samples the target is (operator's law + n w U) / (1 + n w), U on the box, or on
    [-1, 1]^d where there is none. Source: QVPO (2405.16173), the entropy term.
    """
    radius = 1.0 if box is None else box
    return Reference(
        keeps_noise=1.0,
        floor=lambda models, batch, key: source.uniform(models, batch, key, floor_samples, radius),
        floor_weight=floor_weight,
    )


def corner_floor(*, floor_weight, floor_samples, box=None) -> Reference:
    """As `uniform_floor`, with actions that are uniform where every coordinate is positive: [0, 1)^d, scaled by a box.

    Source: QVPO in typoverflow/flow-rl.
    """
    whole = uniform_floor(floor_weight=floor_weight, floor_samples=floor_samples, box=box)
    radius = 1.0 if box is None else box
    return whole._replace(floor=lambda models, batch, key: 0.5 * (whole.floor(models, batch, key) + radius))


def mixture() -> Reference:
    """The mixture that the source axis draws from."""
    return Reference(keeps_noise=1.0)


def none() -> Reference:
    """No reference."""
    return Reference(keeps_noise=0.0)
