"""Offline training: scanned updates on a stored data set, judged in its environment."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.tasks.offline import DataSet, transitions
from flowrl_kb.train.agent import Agent
from flowrl_kb.train.off_policy import CHUNK, OffPolicyRun
from flowrl_kb.train.replay import Replay


class OfflineRun(OffPolicyRun):
    """An off-policy run whose replay is a data set; steps are updates."""

    unit = "updates"

    def __init__(self, agent: Agent, task: DataSet, seed: int):
        self._start(agent, task, seed)
        data = transitions(task, agent.hyper.get("discount", 1.0))
        self.replay = Replay(len(data.reward), task.ds, task.d, agent.method.rewrite is not None)
        self.replay.add(data.s, data.a, data.reward, data.next_s, data.terminated)
        self.returns = data.returns

    def advance(self, limit: int) -> dict[str, Any]:
        """At most CHUNK updates."""
        n, training = min(CHUNK, limit), self.agent.training
        scale = training["reward_scale"]
        batches = self.replay.sample(np.random.default_rng([self.seed, self.step]), (n, training["batch"]), scale)
        batches = batches._replace(returns=scale * self.returns[self.replay.drawn])
        key, steps = jax.random.fold_in(self.key, self.step), jnp.arange(self.step, self.step + n)
        self.train_state, metrics, stored = self._update(self.train_state, batches, key, steps)
        if stored is not None:
            self.replay.rewrite(stored)
        self.step += n
        return {name: float(value) for name, value in metrics.items()}

    def state(self) -> Any:
        """The data stay where they are; only actions that updates rewrite are saved."""
        kept = {} if self.replay.stored is None else {"stored": self.replay.stored}
        return {"train": self.train_state, **kept}

    def load(self, step: int, state: Any) -> None:
        self.step, self.train_state = step, state["train"]
        if self.replay.stored is not None:
            self.replay.stored[:] = state["stored"]
