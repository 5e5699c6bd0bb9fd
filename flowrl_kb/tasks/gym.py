"""Gymnasium environments with box actions, several in step, actions rescaled to [-1, 1]^d.

Our own loop over environments and not Gymnasium's vector class, because a transition needs the observation before an
automatic reset, and a checkpoint needs each simulator's state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from flowrl_kb.errors import MissingExtra, UserError, unknown


class Task(NamedTuple):
    """An environment by its Gymnasium id, with state and action dimensions; actions live in [-box, box]^d."""

    name: str
    id: str
    ds: int
    d: int
    box: float = 1.0


def _gymnasium() -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtra(f"gym tasks need {error.name}: pip install 'flowrl-kb[envs]'") from None
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    return gymnasium


def make(id: str) -> Any:
    """One environment. Errors: UnknownName, MissingExtra, UserError where it cannot be made."""
    gymnasium = _gymnasium()
    if id not in gymnasium.registry:
        raise unknown("task", f"gym/{id}", [f"gym/{name}" for name in gymnasium.registry])
    try:
        with _without_deprecations():
            return gymnasium.make(id)
    except (ImportError, gymnasium.error.Error) as error:
        missing = isinstance(error, ImportError) or "install" in str(error)
        kind = MissingExtra if missing else UserError
        hint = ": pip install 'flowrl-kb[envs]'" if missing else ""
        raise kind(f"gym/{id} cannot be made ({str(error).splitlines()[0]}){hint}") from None


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Keep MuJoCo's remarks about Gymnasium's model files off the terminal and out of MUJOCO_LOG.TXT.

    Only while a model is compiled: warnings about an unstable simulation stay visible.
    """
    try:
        import mujoco
    except ImportError:
        yield
        return
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def get(id: str) -> Task:
    """The task of a Gymnasium id. Errors: UnknownName, MissingExtra, UserError for other spaces than boxes."""
    env = make(id)
    spaces = env.action_space, env.observation_space
    env.close()
    for what, space in zip(("actions", "observations"), spaces, strict=True):
        if type(space).__name__ != "Box" or len(space.shape) != 1:
            raise UserError(f"task gym/{id}: found {what} {space}, expected a box of one dimension")
    if not np.all(np.isfinite(spaces[0].low)) or not np.all(np.isfinite(spaces[0].high)):
        raise UserError(f"task gym/{id}: found unbounded actions, expected a bounded box")
    return Task(f"gym/{id}", id, spaces[1].shape[0], spaces[0].shape[0])


def unit(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Centre and half-width (d,) of an action space: its actions are centre + half * a with a in [-1, 1]^d."""
    return (space.high + space.low) / 2, (space.high - space.low) / 2


class Envs:
    """n copies of a task that step together; `s` (n, ds) are the observations to act on."""

    def __init__(self, task: Task, n: int, seed: int):
        self.envs = [make(task.id) for _ in range(n)]
        space = self.envs[0].action_space
        self._centre, self._half = unit(space)
        starts = [env.reset(seed=seed + i)[0] for i, env in enumerate(self.envs)]
        self.s = np.asarray(starts, np.float32)
        self.returns = np.zeros(n)
        self.finished: list[float] = []

    def step(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Act with a (n, d): rewards (n,), next observations (n, ds) before any reset, terminated (n,), ended (n,).

        Copies whose episode ended start a new one, so that `s` is ready to be acted on; its return joins `finished`.
        """
        n = len(self.envs)
        reward, following = np.zeros(n, np.float32), np.zeros_like(self.s)
        terminated, ended = np.zeros(n, bool), np.zeros(n, bool)
        scaled = self._centre + self._half * np.clip(np.asarray(a, np.float64), -1.0, 1.0)
        self.s = self.s.copy()
        for i, env in enumerate(self.envs):
            following[i], reward[i], terminated[i], truncated, _ = env.step(scaled[i])
            ended[i] = terminated[i] or truncated
            self.s[i] = env.reset()[0] if ended[i] else following[i]
        self.returns += reward
        self.finished += self.returns[ended].tolist()
        self.returns[ended] = 0.0
        return reward, following, terminated, ended

    def state(self) -> dict[str, np.ndarray]:
        """Everything that the next step depends on, as arrays of fixed shapes."""
        return {
            "s": self.s,
            "returns": self.returns,
            "simulators": np.stack([_simulator(env) for env in self.envs]),
            "elapsed": np.array([_time_limit(env)._elapsed_steps if _time_limit(env) else 0 for env in self.envs]),
            "random": np.stack([_pack(env.unwrapped.np_random.bit_generator.state) for env in self.envs]),
        }

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Put every copy where `state` found it; simulators that cannot be set start a new episode instead."""
        for i, env in enumerate(self.envs):
            env.unwrapped.np_random.bit_generator.state = _unpack(np.asarray(state["random"][i]))
        simulators = np.asarray(state["simulators"])
        if np.isnan(simulators).any():
            self.s = np.asarray([env.reset()[0] for env in self.envs], np.float32)
            self.returns = np.zeros(len(self.envs))
            return
        for env, simulator, elapsed in zip(self.envs, simulators, state["elapsed"], strict=True):
            _set_simulator(env, simulator)
            if _time_limit(env):
                _time_limit(env)._elapsed_steps = int(elapsed)
        self.s, self.returns = np.array(state["s"], np.float32), np.array(state["returns"], float)

    def close(self) -> None:
        for env in self.envs:
            env.close()


def _simulator(env: Any) -> np.ndarray:
    """The simulator's own state: all that MuJoCo's integrator reads, the state vector of a classic task, else NaN."""
    inner = env.unwrapped
    if hasattr(inner, "model") and hasattr(inner, "data"):
        import mujoco

        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        found = np.zeros(mujoco.mj_stateSize(inner.model, kind))
        mujoco.mj_getState(inner.model, inner.data, found, kind)
        return found
    state = getattr(inner, "state", None)
    return np.array(state, float) if isinstance(state, np.ndarray | tuple | list) else np.full(1, np.nan)


def _set_simulator(env: Any, state: np.ndarray) -> None:
    inner = env.unwrapped
    if hasattr(inner, "model") and hasattr(inner, "data"):
        import mujoco

        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        # The forward pass fills derived quantities but moves the solver's warm start, so the state is set again.
        mujoco.mj_setState(inner.model, inner.data, state, kind)
        mujoco.mj_forward(inner.model, inner.data)
        mujoco.mj_setState(inner.model, inner.data, state, kind)
    else:
        inner.state = np.array(state)


def _time_limit(env: Any) -> Any:
    while env is not env.unwrapped:
        if hasattr(env, "_elapsed_steps"):
            return env
        env = env.env
    return None


_PACKED = 512


def _pack(state: dict) -> np.ndarray:
    """A random generator's state as bytes of fixed length, because its integers exceed 64 bits."""
    text = json.dumps(state).encode()
    return np.frombuffer(text.ljust(_PACKED), np.uint8).copy()


def _unpack(packed: np.ndarray) -> dict:
    return json.loads(packed.tobytes().decode())
