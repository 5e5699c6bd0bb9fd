"""Fingerprints: the expected update of any loss, as moments in common coordinates.

See `features` for the coordinates. A fingerprint grows on demand, keeps mean and covariance only, and is remembered on
disk under the hash of its lowered program, so that only a change of what is computed has it computed anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path as File
from threading import get_ident

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.certify import moments, presentation
from flowrl_kb.certify.features import Perturbation, features, shape
from flowrl_kb.certify.laboratory import Scenario
from flowrl_kb.certify.moments import Moments
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.certify.program import CHUNK, Program
from flowrl_kb.parts.types import Array, Batch, Key, Loss, Method

BATCH = 256
"""States of one replicate."""


def at_batch(
    loss: Loss, name: str, setting: Setting, scene: Scenario, exact: Callable | None = None
) -> Callable[[Array, Batch, Key], Array]:
    """The loss as a function (theta, batch, key) of the trained parameters."""

    def scalar(theta: Array, batch: Batch, key: Key) -> Array:
        there = None if exact is None else {name: partial(exact, scene)}
        return loss(presentation.models(setting, scene, {name: Perturbation(theta)}, there), batch, key)[0]

    return scalar


def origin(kind: str, dim: int) -> Array:
    """The trained parameters of a kind of object where nothing has been trained."""
    return jnp.zeros(shape(kind, dim))


def by_block(gradient: Array) -> Array:
    """A gradient in the trained parameters with one row for each block, (B, M)."""
    return gradient.reshape(gradient.shape[0] * gradient.shape[1], -1)


def gradient(
    loss: Loss, name: str, kind: str, setting: Setting, scene: Scenario, key: Key, exact: Callable | None = None
) -> Array:
    """One replicate of an update: the gradient of the loss in theta, one row for each block, (B, M)."""
    k_batch, k_loss = jax.random.split(key)
    batch = presentation.batch(setting, scene, k_batch, BATCH)
    return by_block(jax.grad(at_batch(loss, name, setting, scene, exact))(origin(kind, setting.dim), batch, k_loss))


def executed(method: Method, setting: Setting, scene: Scenario, batch: Batch, key: Key) -> Array:
    """The mean features of the actions that a method executes at the states of a batch, (SETS, FEATURES)."""
    a = method.act(presentation.models(setting, scene, {}), batch.s, key)
    return jnp.mean(features(batch.s, a), axis=0)


def acted(method: Method, setting: Setting, scene: Scenario, key: Key) -> Array:
    """One replicate of the mean features of executed actions: the acting slot, (SETS, FEATURES)."""
    k_batch, k_act = jax.random.split(key)
    return executed(method, setting, scene, presentation.batch(setting, scene, k_batch, BATCH), k_act)


def of_slot(method: Method, slot: str, setting: Setting, exact: Callable | None = None) -> Callable:
    """The replicate function (scene, key) -> (B, M) of one slot of a method."""
    if slot == "acting":
        return partial(acted, method, setting)
    loss, kind = method.losses[slot], method.trains[slot]
    return lambda scene, key: gradient(loss, slot, kind, setting, scene, key, exact)


class Fingerprint:
    """Replicates of one slot's update in all scenarios, grown on demand.

    Arguments: `stream` names the random keys, so that two fingerprints of one program can be independent; `link` is a
    hash of all that the program was made from (code included), under which its moments are found on disk without
    tracing it again; without one nothing is remembered.
    """

    def __init__(self, program: Program, scenes: Scenario, stream: str, link: str | None = None):
        self.program, self.link = program, link
        self._scenes, self._stream = scenes, stream
        self._moments: Moments | None = None

    @cached_property
    def identity(self) -> str:
        """The hash of everything that the replicates depend on: program, scenarios and stream."""
        if self.link is None:
            return hashlib.sha256(self._stream.encode()).hexdigest()
        link = memory() / "links" / self.link
        return link.read_text() if link.exists() else self._traced()

    def _traced(self) -> str:
        """The identity by tracing the program, which the link then points to."""
        digest = hashlib.sha256(f"{self.program.hash} {self._stream}".encode())
        for array in jax.tree.leaves(self._scenes):
            digest.update(np.asarray(array).tobytes())
        found = digest.hexdigest()
        _put(memory() / "links" / self.link, lambda file: file.write_text(found))
        return found

    def take(self, n: int) -> Moments:
        """Moments of at least n replicates (all that are there). Errors: FloatingPointError where one is not finite."""
        file = None if self.link is None else memory() / f"{self.identity}.npz"
        if self._moments is None:
            self._moments = _read(file)
        have = self._moments.n if self._moments else 0
        starts = range(have // CHUNK, -(-n // CHUNK))
        if starts:
            if self.link is not None and self._traced() != self.identity:
                del self.identity  # the link was made by code that was edited while it ran
                self._moments = None
                return self.take(n)
            key = jax.random.key(int(self.identity[:7], 16))
            self.program.compile()
            with ThreadPoolExecutor(2) as pool:  # XLA leaves the second core idle in programs of this size
                for rows in pool.map(lambda i: self.program(jax.random.fold_in(key, i), self._scenes), starts):
                    self._add(rows)
            if file is not None:
                _write(file, self._moments)
        return self._moments

    def remembered(self) -> Moments | None:
        """The moments on disk, however many replicates they are of, found without tracing anything."""
        if self.link is None or not (memory() / "links" / self.link).exists():
            return None
        return _read(memory() / f"{self.identity}.npz")

    def _add(self, rows: np.ndarray) -> None:
        if not np.isfinite(rows).all():
            raise FloatingPointError("the update is not finite")
        new = moments.of(rows.astype(np.float64))
        self._moments = new if self._moments is None else moments.merged(self._moments, new)


def fill(prints: Iterable[Fingerprint], n: int) -> None:
    """Take n replicates of each, two at a time: compiling leaves the second core idle.

    An update that is not finite is left to whoever takes it next.
    """

    def one(found: Fingerprint) -> None:
        with suppress(FloatingPointError):
            found.take(n)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, prints))


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


def _write(file: File, found: Moments) -> None:
    stored = {"n": found.n, "mean": found.mean, "covariance": found.covariance.astype(np.float32)}
    _put(file, lambda temporary: np.savez(temporary, **stored))


def _put(file: File, write: Callable[[File], object]) -> None:
    """Write in one step, so that another process or thread sees nothing or all of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{os.getpid()}.{get_ident()}.{file.name}")
    write(temporary)
    os.replace(temporary, file)
