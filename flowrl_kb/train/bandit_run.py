"""Runs on bandits as the host loop drives them: off-policy and offline, and on-policy."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.stages import Lowered

from flowrl_kb.parts.types import Array
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train.agent import Agent
from flowrl_kb.train.ahead import side_by_side
from flowrl_kb.train.bandit import Carry, chunk, sampler, start
from flowrl_kb.train.evaluate import SAMPLES, expected_reward
from flowrl_kb.train.on_policy import bandit_round


class BanditRun:
    """A run on a bandit as `drive.Run`: several seeds at once, steps are updates."""

    unit = "updates"

    def __init__(self, agent: Agent, task: Bandit, seeds: int, seed: int, chunk_length: int = 200):
        training = agent.training
        self.step, self.chunk_length, self.task = 0, chunk_length, task
        scale = training["reward_scale"]
        replay = training["replay"] if agent.coordinates.get("setting") == "online-off-policy" else 0
        key, self.key = jax.random.split(jax.random.key(seed))
        self._keys = jax.random.split(key, seeds)
        rewrites = agent.method.rewrite is not None
        self._begin = jax.jit(jax.vmap(lambda k: start(agent.trainer, task, k, replay, scale, rewrites)))
        self._chunk = chunk(
            agent.trainer, agent.method, task, batch=training["batch"], envs=training["envs"], scale=scale
        )
        self._whole_chunk = self._chunk
        self._reward = jax.jit(partial(expected_reward, task))
        self._sample = sampler(agent.trainer, agent.method, SAMPLES)

    @cached_property
    def carry(self) -> Carry:
        """The state of all seeds."""
        return self._begin(self._keys)

    def compile(self) -> None:
        """Compile the start, a chunk and the evaluation; without this each is compiled when it is first used."""
        carry = jax.eval_shape(self._begin, self._keys)
        self._begin, self._whole_chunk, self._sample = side_by_side(
            (self._begin, (self._keys,)),
            (self._chunk, (carry, jnp.arange(self.chunk_length))),
            (self._sample, (carry.state, self.key)),
        )

    def advance(self, limit: int) -> dict[str, Array]:
        n = min(limit, self.chunk_length)
        program = self._whole_chunk if n == self.chunk_length else self._chunk
        self.carry, metrics = program(self.carry, jnp.arange(self.step, self.step + n))
        jax.block_until_ready(self.carry)
        self.step += n
        return metrics

    def trace(self) -> tuple[Lowered, ...]:
        return (
            self._chunk.lower(self.carry, jnp.arange(self.chunk_length)),
            self._sample.lower(self.carry.state, self.key),
        )

    def samples(self) -> tuple[Array, Array]:
        """Generated and executed actions (seeds, n, d); the same call on the same state gives the same actions."""
        return self._sample(self.carry.state, jax.random.fold_in(self.key, self.step))

    def evaluate(self) -> dict[str, Array]:
        generated, executed = self.samples()
        return {"reward/generated": self._reward(generated), "reward/executed": self._reward(executed)}

    def state(self) -> Any:
        return self.carry

    def load(self, step: int, state: Any) -> None:
        self.step, self.carry = step, state


class OnPolicyBanditRun:
    """An on-policy run on a bandit as `drive.Run`: one-step episodes, several seeds at once; steps are updates."""

    unit = "updates"

    def __init__(self, agent: Agent, task: Bandit, seeds: int, seed: int):
        self.step, self.task = 0, task
        self.round = agent.training["epochs"] * agent.training["minibatches"]
        key, self.key = jax.random.split(jax.random.key(seed))
        self.carry = jax.jit(jax.vmap(agent.trainer.init))(jax.random.split(key, seeds))
        self._round = jax.jit(jax.vmap(bandit_round(agent, task), in_axes=(0, 0, None)), donate_argnums=0)
        self._reward = jax.jit(partial(expected_reward, task))
        self._sample = sampler(agent.trainer, agent.method, SAMPLES)

    def compile(self) -> None:
        """Compile a round and the evaluation; without this each is compiled when it is first used."""
        keys = jax.random.split(self.key, jax.tree.leaves(self.carry)[0].shape[0])
        self._round, self._sample = side_by_side(
            (self._round, (self.carry, keys, 0)), (self._sample, (self.carry, self.key))
        )

    def advance(self, limit: int) -> dict[str, Array]:
        seeds = jax.tree.leaves(self.carry)[0].shape[0]
        keys = jax.random.split(jax.random.fold_in(self.key, 2**31 + self.step), seeds)
        self.carry, metrics = self._round(self.carry, keys, self.step)
        jax.block_until_ready(self.carry)
        self.step += self.round
        return metrics

    def trace(self) -> tuple[Lowered, ...]:
        seeds = jax.tree.leaves(self.carry)[0].shape[0]
        return (
            self._round.lower(self.carry, jax.random.split(self.key, seeds), 0),
            self._sample.lower(self.carry, self.key),
        )

    def samples(self) -> tuple[Array, Array]:
        """Generated and executed actions (seeds, n, d)."""
        return self._sample(self.carry, jax.random.fold_in(self.key, self.step))

    def evaluate(self) -> dict[str, Array]:
        generated, executed = self.samples()
        return {"reward/generated": self._reward(generated), "reward/executed": self._reward(executed)}

    def state(self) -> Any:
        return self.carry

    def load(self, step: int, state: Any) -> None:
        self.step, self.carry = step, state
