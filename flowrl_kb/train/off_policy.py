"""Online off-policy training on Gymnasium: a thin host loop around scanned updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered

from flowrl_kb.parts.types import Array, Batch, Key
from flowrl_kb.tasks.gym import Envs, Task
from flowrl_kb.train.agent import Agent
from flowrl_kb.train.replay import Replay
from flowrl_kb.train.update import State

CHUNK = 32
"""Steps of all environments between two rounds of updates, and updates in one compiled scan.

The policy that acts is up to so many updates old; published loops alternate single steps.
"""

EVALUATIONS = 3
"""Episodes of an evaluation."""


def scanned(agent: Agent) -> Callable[[State, Batch, Key, Array], tuple[State, dict[str, Array], Array | None]]:
    """Many updates in one call: batches with a leading axis of length n, steps (n,).

    Beside state and metrics it returns what the updates made of the batches' stored actions, (n, B, d). An action that
    is drawn twice in one call starts both times from where the replay has it.
    """
    trainer, rewrite = agent.trainer, agent.method.rewrite

    def run(state: State, batches: Batch, key: Key, steps: Array) -> tuple[State, dict[str, Array], Array | None]:
        def one(state: State, xs: tuple[Batch, Key, Array]) -> tuple[State, tuple[dict[str, Array], Array | None]]:
            state, metrics = trainer.update(state, *xs)
            return state, (metrics, rewrite(trainer.models(state), *xs[:2]) if rewrite else None)

        xs = (batches, jax.random.split(key, steps.shape[0]), steps)
        state, (metrics, stored) = jax.lax.scan(one, state, xs)
        return state, jax.tree.map(jnp.nanmean, metrics), stored

    return jax.jit(run, donate_argnums=0)


def evaluate(act: Callable[[np.ndarray, Key], np.ndarray], task: Task, seed: int, key: Key) -> dict[str, float]:
    """Mean undiscounted return of `EVALUATIONS` whole episodes of the executed policy, its acting noise included."""
    envs = Envs(task, EVALUATIONS, seed)
    total, running, t = np.zeros(EVALUATIONS), np.ones(EVALUATIONS, bool), 0
    while running.any():
        reward, _, _, ended = envs.step(act(envs.s, jax.random.fold_in(key, t)))
        total += reward * running
        running &= ~ended
        t += 1
    envs.close()
    return {"return": float(total.mean()), "return/lowest": float(total.min()), "return/highest": float(total.max())}


class OffPolicyRun:
    """An off-policy run as `drive.Run`; steps are environment steps, counted over all copies."""

    unit = "steps"

    def __init__(self, agent: Agent, task: Task, seed: int):
        self._start(agent, task, seed)
        training = agent.training
        self.updates, self.debt = 0, 0.0
        self.envs = Envs(task, training["envs"], seed)
        self.replay = Replay(training["replay"], task.ds, task.d, agent.method.rewrite is not None)

    def _start(self, agent: Agent, task: Any, seed: int) -> None:
        """What a run has whatever its data are."""
        self.agent, self.task, self.seed, self.step = agent, task, seed, 0
        k_init, self.key = jax.random.split(jax.random.key(seed))
        self.train_state = jax.jit(agent.trainer.init)(k_init)
        self._update = scanned(agent)
        self._act = jax.jit(lambda state, s, key: agent.method.act(agent.trainer.models(state), s, key))

    def advance(self, limit: int) -> dict[str, Any]:
        """At most CHUNK steps of all environments, then the updates that they are worth."""
        training, n = self.agent.training, len(self.envs.envs)
        random = np.random.default_rng([self.seed, self.step])
        for _ in range(min(CHUNK, -(-limit // n))):
            if self.step < training["random_steps"]:
                a = random.uniform(-1.0, 1.0, (n, self.task.d)).astype(np.float32)
            else:
                key = jax.random.fold_in(self.key, self.step)
                a = np.clip(self._act(self.train_state, self.envs.s, key), -1.0, 1.0)
                self.debt += training["updates_per_step"]
            s = self.envs.s
            reward, following, terminated, _ = self.envs.step(a)
            self.replay.add(s, a, reward, following, terminated)
            self.step += n
        metrics: dict[str, Any] = {}
        while self.debt >= CHUNK:
            self.debt -= CHUNK
            batches = self.replay.sample(random, (CHUNK, training["batch"]), training["reward_scale"])
            key = jax.random.fold_in(self.key, 2**31 + self.updates)
            steps = jnp.arange(self.updates, self.updates + CHUNK)
            self.train_state, metrics, stored = self._update(self.train_state, batches, key, steps)
            if stored is not None:
                self.replay.rewrite(stored)
            self.updates += CHUNK
        metrics = {name: float(value) for name, value in metrics.items()}
        if self.envs.finished:
            metrics["return/training"] = float(np.mean(self.envs.finished))
            self.envs.finished.clear()
        return metrics | {"updates": self.updates}

    def compile(self) -> None:
        """Nothing ahead: random steps come first."""

    def trace(self) -> tuple[Lowered, ...]:
        b, s = self.agent.training["batch"], np.zeros((CHUNK, self.agent.training["batch"], self.task.ds), np.float32)
        row = np.zeros((CHUNK, b), np.float32)
        a = np.zeros((CHUNK, b, self.task.d), np.float32)
        stored = a if self.agent.method.rewrite else None
        batches = Batch(s=s, a=a, reward=row, next_s=s, not_done=row, stored=stored)
        return (
            self._update.lower(self.train_state, batches, self.key, jnp.arange(CHUNK)),
            self._act.lower(self.train_state, s[0, :1], self.key),
        )

    def act(self, s: np.ndarray, key: Key) -> np.ndarray:
        """The executed actions at states s (n, ds)."""
        return np.asarray(self._act(self.train_state, s, key))

    def evaluate(self) -> dict[str, float]:
        return evaluate(self.act, self.task, self.seed + 1_000_003, jax.random.fold_in(self.key, 2**30 + self.step))

    def state(self) -> Any:
        return {
            "train": self.train_state,
            "envs": self.envs.state(),
            "replay": self.replay.state(),
            "counters": np.array([self.updates, self.debt], float),
        }

    def load(self, step: int, state: Any) -> None:
        self.step = step
        self.train_state = state["train"]
        self.envs.load(state["envs"])
        self.replay.load(state["replay"])
        self.updates, self.debt = int(state["counters"][0]), float(state["counters"][1])
