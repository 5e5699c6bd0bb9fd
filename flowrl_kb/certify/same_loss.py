"""Same loss: are two updates one, draw by draw? Asked of a published loss and its cell, and of two published losses.

Stronger than a comparison of averages, and free of sampling error: see `coupling`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.certify import coupling, presentation
from flowrl_kb.certify.coupling import Coupled
from flowrl_kb.certify.draws import Drawing, Reading, traced
from flowrl_kb.certify.features import block_name
from flowrl_kb.certify.fingerprint import BATCH, at_batch, by_block, executed, origin
from flowrl_kb.certify.laboratory import Scenario
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.certify.program import OPTIONS
from flowrl_kb.certify.sites import Path
from flowrl_kb.parts.types import Array, Batch, Key, Method

WRONG = "other laws at states of other rows"
"""The wrong presentation of the second update: each law in the place of the next, and states moved by a row."""


class Side(NamedTuple):
    """A method and how the laboratory presents it."""

    method: Method
    setting: Setting


class Both:
    """The updates of one slot of two methods, in one program whose random numbers can be matched.

    Arguments: `scenes` are stacked scenarios.
    """

    def __init__(self, first: Side, second: Side, slot: str, scenes: Scenario):
        self._sides, self._slot, self._scenes = (first, second), slot, scenes
        self._kind = slot if slot == "acting" else first.method.trains[slot]

    @cached_property
    def _drawings(self) -> tuple[Drawing, Drawing]:
        first, second = (self._traced(side) for side in self._sides)
        return first, second

    def _traced(self, side: Side) -> Drawing:
        scene, key = jax.tree.map(lambda a: a[0], self._scenes), jax.random.key(0)
        batch = jax.eval_shape(lambda: presentation.batch(side.setting, scene, key, BATCH))
        given = (scene, batch, key) if self._slot == "acting" else (self._origin(side), scene, batch, key)
        return traced(self._value(side), *given, states=BATCH, dim=side.setting.dim)

    def _value(self, side: Side) -> Callable:
        if self._slot == "acting":
            return partial(executed, side.method, side.setting)
        loss = side.method.losses[self._slot]
        return lambda theta, scene, *given: at_batch(loss, self._slot, side.setting, scene)(theta, *given)

    def _origin(self, side: Side) -> Array:
        return origin(self._kind, side.setting.dim)

    def _update(self, i: int, read: Mapping[Path, Reading], stream: Key, scene: Scenario, batch: Batch) -> Array:
        def value(*theta: Array) -> Array:
            return self._drawings[i](read, stream, *jax.tree.leaves((*theta, scene, batch, stream)))[0]

        return value() if self._slot == "acting" else by_block(jax.grad(value)(self._origin(self._sides[i])))

    @cached_property
    def _lowered(self) -> jax.stages.Lowered:
        def both(ours, theirs, key: Key, wrong: int) -> tuple[Array, Array]:
            k_batch, stream = jax.random.split(key)

            def at(scene: Scenario) -> tuple[Array, Array]:
                first, second = (presentation.batch(side.setting, scene, k_batch, BATCH) for side in self._sides)
                other = scene._replace(laws=jax.tree.map(lambda a: jnp.roll(a, wrong, axis=0), scene.laws))
                moved = second._replace(s=jnp.roll(second.s, wrong, axis=0))
                return self._update(0, ours, stream, scene, first), self._update(1, theirs, stream, other, moved)

            return jax.vmap(at)(jax.tree.map(jnp.asarray, self._scenes))

        ours, theirs = next(coupling.couplings(*self._drawings))
        return jax.jit(both, keep_unused=True).lower(ours, theirs, jax.random.key(0), 0)

    @cached_property
    def hash(self) -> str:
        """Hex digits of both updates, scenarios included, and of the library that runs them."""
        return hashlib.sha256((version("jaxlib") + self._lowered.as_text()).encode()).hexdigest()

    def row(self) -> dict[str, Any] | None:
        """The certificate that both updates agree without an average being estimated; None where that was not shown.

        `same-loss` for one update draw by draw; `same-update` where the second draws anew for each of its terms.
        """
        try:
            program = self._lowered.compile(compiler_options=OPTIONS)
        except NotImplementedError:  # draws where they cannot be matched
            return None
        for level, shown in (("same-loss", coupling.coupled), ("same-update", coupling.in_terms)):
            if found := shown(program, *self._drawings):
                return {"level": level, **self._recorded(*found)}
        return None

    def _recorded(self, result: Coupled, control: Coupled) -> dict[str, Any]:
        scene, block = result.where
        return {
            "verdict": "equal",
            "worst_residual": float(f"{result.residual:.2g}"),
            "margin": coupling.MARGIN,
            "where": f"scenario {scene + 1}, {block_name(self._kind, block)}",
            "scale": round(result.scale, 4),
            "replicates": coupling.STREAMS,
            "control": {"what": WRONG, "verdict": "different", "worst_residual": round(control.residual, 4)},
        }
