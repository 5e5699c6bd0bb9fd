"""Fingerprints: the expected update of any loss, as moments in common coordinates.

See `features` for the coordinates. A fingerprint grows on demand, keeps mean and covariance only, and is remembered on
disk under the hash of everything that it was computed from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path as File

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.certify import moments, presentation
from flowrl_kb.certify.features import Perturbation, features, shape
from flowrl_kb.certify.laboratory import Scenario
from flowrl_kb.certify.moments import Moments
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.parts.types import Array, Key, Loss, Method

BATCH = 256
"""States of one replicate."""
CHUNK, WIDTH = 64, 4
"""Replicates computed by one compiled call, and how many of them side by side."""
COMPILER = {"xla_backend_optimization_level": 1}
"""A third less compile time, and no slower at these sizes, than the default level."""


def gradient(
    loss: Loss, name: str, kind: str, setting: Setting, scene: Scenario, key: Key, exact: Callable | None = None
) -> Array:
    """One replicate of an update: the gradient of the loss in theta, one row for each block, (B, M)."""
    k_batch, k_loss = jax.random.split(key)
    batch = presentation.batch(setting, scene, k_batch, BATCH)

    def scalar(theta: Array) -> Array:
        there = None if exact is None else partial(exact, scene)
        return loss(presentation.models(setting, scene, {name: Perturbation(theta)}, there), batch, k_loss)[0]

    form = shape(kind, setting.dim)
    return jax.grad(scalar)(jnp.zeros(form)).reshape(form[0] * form[1], -1)


def acted(method: Method, setting: Setting, scene: Scenario, key: Key) -> Array:
    """One replicate of the mean features of executed actions: the acting slot, (SETS, FEATURES)."""
    k_batch, k_act = jax.random.split(key)
    batch = presentation.batch(setting, scene, k_batch, BATCH)
    a = method.act(presentation.models(setting, scene, {}), batch.s, k_act)
    return jnp.mean(features(batch.s, a), axis=0)


def of_slot(method: Method, slot: str, setting: Setting, exact: Callable | None = None) -> Callable:
    """The replicate function (scene, key) -> (B, M) of one slot of a method."""
    if slot == "acting":
        return partial(acted, method, setting)
    loss, kind = method.losses[slot], method.trains[slot]
    return lambda scene, key: gradient(loss, slot, kind, setting, scene, key, exact)


class Fingerprint:
    """Replicates of one slot's update in all scenarios, grown on demand.

    Arguments: `build()` gives the replicate function and is only called where replicates are missing; `identity` is a
    hash (hex digits) of all that the replicates depend on; it also gives every fingerprint its own key stream.
    `remember` keeps the moments on disk.
    """

    def __init__(self, build: Callable[[], Callable], scenes: Scenario, identity: str, remember: bool = True):
        self._build, self._scenes = build, scenes
        # threefry costs 1.75 times as much for these small batches
        self._key = jax.random.key(int(identity[:7], 16), impl="rbg")
        self._file = memory() / f"{identity}.npz" if remember else None
        self._moments = _read(self._file)
        self._chunk: Callable | None = None

    def take(self, n: int) -> Moments:
        """Moments of at least n replicates (all that are there). Errors: FloatingPointError where one is not finite."""
        have = self._moments.n if self._moments else 0
        starts = range(have // CHUNK, -(-n // CHUNK))
        if starts:
            run = self._compiled()
            with ThreadPoolExecutor(2) as pool:  # XLA leaves the second core idle in programs of this size
                for rows in pool.map(run, starts):
                    self._add(rows)
            _write(self._file, self._moments)
        return self._moments

    def _add(self, rows: np.ndarray) -> None:
        if not np.isfinite(rows).all():
            raise FloatingPointError("the update is not finite")
        new = moments.of(rows.astype(np.float64))
        self._moments = new if self._moments is None else moments.merged(self._moments, new)

    def _compiled(self) -> Callable[[int], np.ndarray]:
        if self._chunk is None:
            one = self._build()

            def chunk(keys: Array, scenes: Scenario) -> Array:
                return jax.lax.map(lambda key: jax.vmap(lambda scene: one(scene, key))(scenes), keys, batch_size=WIDTH)

            made = jax.jit(chunk, compiler_options=COMPILER)
            self._chunk = made.lower(self._keys(0), self._scenes).compile()
        return lambda start: np.asarray(self._chunk(self._keys(start), self._scenes)).swapaxes(0, 1)

    def _keys(self, start: int) -> Array:
        return jax.random.split(jax.random.fold_in(self._key, start), CHUNK)


def memory() -> File:
    """Where fingerprints are remembered: FLOWRL_KB_CACHE, or .cache/ of the checkout, or the user's cache folder."""
    if "FLOWRL_KB_CACHE" in os.environ:
        return File(os.environ["FLOWRL_KB_CACHE"])
    checkout = File(__file__).resolve().parents[2]
    base = checkout / ".cache" if (checkout / "pyproject.toml").exists() else File.home() / ".cache" / "flowrl-kb"
    return base / "fingerprints"


def _read(file: File | None) -> Moments | None:
    if file is None or not file.exists():
        return None
    with np.load(file) as stored:
        return Moments(int(stored["n"]), stored["mean"].astype(np.float64), stored["covariance"].astype(np.float64))


def _write(file: File | None, found: Moments) -> None:
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.stem}.{os.getpid()}.npz")
    np.savez(temporary, n=found.n, mean=found.mean, covariance=found.covariance.astype(np.float32))
    os.replace(temporary, file)
