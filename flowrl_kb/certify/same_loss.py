"""Same loss: is the published update the composed one, draw by draw?

Stronger than a comparison of averages, and free of sampling error: see `coupling`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp

from flowrl_kb.certify import coupling, presentation
from flowrl_kb.certify.coupling import Coupled
from flowrl_kb.certify.draws import Drawing, Path, Reading, traced
from flowrl_kb.certify.features import block_name
from flowrl_kb.certify.fingerprint import BATCH, at_batch, by_block, executed, origin
from flowrl_kb.certify.laboratory import Scenario
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.certify.program import OPTIONS
from flowrl_kb.parts.types import Array, Batch, Key, Method

WRONG = "other laws at states of other rows"
"""The wrong presentation of the second update: each law in the place of the next, and states moved by a row."""


class Both:
    """The updates of one slot of two methods, in one program whose random numbers can be matched.

    Arguments: `scenes` are stacked scenarios; `setting` presents both methods.
    """

    def __init__(self, first: Method, second: Method, slot: str, setting: Setting, scenes: Scenario):
        self._slot, self._setting, self._scenes = slot, setting, scenes
        self._kind = slot if slot == "acting" else first.trains[slot]
        self._methods = (first, second)

    @cached_property
    def _drawings(self) -> tuple[Drawing, Drawing]:
        scene = jax.tree.map(lambda a: a[0], self._scenes)
        key = jax.random.key(0)
        batch = jax.eval_shape(lambda: presentation.batch(self._setting, scene, key, BATCH))
        sizes = {"states": BATCH, "dim": self._setting.dim}
        theta = () if self._slot == "acting" else (origin(self._kind, self._setting.dim),)
        return tuple(traced(self._value(m), *theta, scene, batch, key, **sizes) for m in self._methods)

    def _value(self, method: Method):
        if self._slot == "acting":
            return lambda scene, batch, key: executed(method, self._setting, scene, batch, key)
        loss = method.losses[self._slot]
        return lambda theta, scene, batch, key: at_batch(loss, self._slot, self._setting, scene)(theta, batch, key)

    def _update(self, drawing: Drawing, read: Mapping[Path, Reading], stream: Key, scene: Scenario, batch: Batch):
        def value(*theta: Array) -> Array:
            return drawing(read, stream, *jax.tree.leaves((*theta, scene, batch, stream)))[0]

        if self._slot == "acting":
            return value()
        return by_block(jax.grad(value)(origin(self._kind, self._setting.dim)))

    @cached_property
    def _lowered(self) -> jax.stages.Lowered:
        def both(ours, theirs, key: Key, wrong: int) -> tuple[Array, Array]:
            k_batch, stream = jax.random.split(key)

            def at(scene: Scenario) -> tuple[Array, Array]:
                batch = presentation.batch(self._setting, scene, k_batch, BATCH)
                other = scene._replace(laws=jax.tree.map(lambda a: jnp.roll(a, wrong, axis=0), scene.laws))
                moved = batch._replace(s=jnp.roll(batch.s, wrong, axis=0))
                first, second = self._drawings
                return (
                    self._update(first, ours, stream, scene, batch),
                    self._update(second, theirs, stream, other, moved),
                )

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
        program = self._lowered.compile(compiler_options=OPTIONS)
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
