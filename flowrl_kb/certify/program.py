"""Programs: a replicate function compiled for many keys and all scenarios, and the hash of what it computes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import version

import jax
import numpy as np

from flowrl_kb.certify.laboratory import Scenario
from flowrl_kb.parts.types import Array, Key

CHUNK, WIDTH = 64, 4
"""Replicates computed by one call, and how many of them side by side."""
OPTIONS = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
"""Half of the compile time of the default options, and no slower at these sizes but for QVPO's actor (a fifth)."""


class Program:
    """`build()` gives one replicate, (scene, key) -> (B, M); it is traced and compiled only when that is asked for.

    Arguments: `scenes` fix shapes; other scenarios of the same shapes can be run by the same program.
    """

    def __init__(self, build: Callable[[], Callable], scenes: Scenario):
        self._build, self._scenes = build, scenes
        self._compiled: jax.stages.Compiled | None = None

    @cached_property
    def _lowered(self) -> jax.stages.Lowered:
        one = self._build()

        def chunk(keys: Array, scenes: Scenario) -> Array:
            return jax.lax.map(lambda key: jax.vmap(lambda scene: one(scene, key))(scenes), keys, batch_size=WIDTH)

        # Unused arguments are kept, because without them a loss of the critic and one of its target have one text.
        made = jax.jit(chunk, keep_unused=True)
        return made.lower(jax.random.split(jax.random.key(0), CHUNK), self._scenes)

    @cached_property
    def hash(self) -> str:
        """Hex digits of the lowered program and of the library that runs it: renaming keeps it, other sums do not."""
        return hashlib.sha256((version("jaxlib") + self._lowered.as_text()).encode()).hexdigest()

    def compile(self) -> None:
        """Compile now, unless that was done before."""
        if self._compiled is None:
            self._compiled = self._lowered.compile(compiler_options=OPTIONS)

    def __call__(self, key: Key, scenes: Scenario) -> np.ndarray:
        """CHUNK replicates in each scenario, (scenarios, CHUNK, B, M)."""
        self.compile()
        return np.asarray(self._compiled(jax.random.split(key, CHUNK), scenes)).swapaxes(0, 1)
