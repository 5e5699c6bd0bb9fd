"""Training on bandits: the whole loop in chunks of `lax.scan`, seeds in `vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Batch, Key, Method
from flowrl_kb.tasks import bandits
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train.settings import REACH
from flowrl_kb.train.update import State, Trainer

ACT_EVERY = 8
"""Updates between two rounds of acting on-line."""


class Memory(NamedTuple):
    """Replayed actions (N, d), their rewards (N,), and `stored` (N, d) what updates made of them, where they do."""

    a: Array
    reward: Array
    stored: Array | None = None


class Carry(NamedTuple):
    """What one seed carries from update to update."""

    state: State
    memory: Memory | None
    key: Key


def transitions(a: Array, reward: Array, stored: Array | None = None) -> Batch:
    """One-step episodes as a batch."""
    s = bandits.states(a.shape[:-1])
    return Batch(s=s, a=a, reward=reward, next_s=s, not_done=jnp.zeros(a.shape[:-1]), returns=reward, stored=stored)


def start(trainer: Trainer, task: Bandit, key: Key, replay: int, scale: float, rewrites: bool = False) -> Carry:
    """A fresh run of one seed. Arguments: `replay` capacity of the memory, 0 for offline runs; `rewrites` whether
    updates change what is stored.

    The memory starts full of uniform actions on [-REACH, REACH]^d.
    """
    k_init, k_memory, k_rest = jax.random.split(key, 3)
    memory = None
    if replay:
        a = jax.random.uniform(k_memory, (replay, task.d), minval=-REACH, maxval=REACH)
        memory = Memory(a, scale * bandits.reward(task, a), a if rewrites else None)
    return Carry(trainer.init(k_init), memory, k_rest)


def chunk(
    trainer: Trainer, method: Method, task: Bandit, *, batch: int, envs: int, scale: float
) -> Callable[[Carry, Array], tuple[Carry, dict[str, Array]]]:
    """One chunk of updates: (carries with a leading seed axis, steps (n,)) -> (carries, metrics averaged over steps).

    Offline runs draw every batch afresh from the exact behaviour; on-line runs write `envs` executed actions into the
    memory before every ACT_EVERY-th update. Arguments: `scale` multiplies rewards.
    """

    def act(carry: Carry, key: Key, step: Array) -> Memory:
        new = method.act(trainer.models(carry.state), bandits.states((envs,)), key)
        at = (step // ACT_EVERY * envs) % carry.memory.reward.shape[0]
        stored = carry.memory.stored
        return Memory(
            jax.lax.dynamic_update_slice(carry.memory.a, new, (at, 0)),
            jax.lax.dynamic_update_slice(carry.memory.reward, scale * bandits.reward(task, new), (at,)),
            None if stored is None else jax.lax.dynamic_update_slice(stored, new, (at, 0)),
        )

    def draw(carry: Carry, key: Key, step: Array) -> tuple[Memory | None, Array | None, Batch]:
        if carry.memory is None:
            a = bandits.sample(task, key, (batch,))
            return None, None, transitions(a, scale * bandits.reward(task, a))
        k_act, k_draw = jax.random.split(key)
        memory = jax.lax.cond(step % ACT_EVERY == 0, lambda: act(carry, k_act, step), lambda: carry.memory)
        size = memory.reward.shape[0]
        index = jax.random.randint(k_draw, (batch,), 0, size)
        return memory, index, transitions(*(None if x is None else x[index] for x in memory))

    def one(carry: Carry, step: Array) -> tuple[Carry, dict[str, Array]]:
        key, k_draw, k_update = jax.random.split(carry.key, 3)
        memory, index, data = draw(carry, k_draw, step)
        state, metrics = trainer.update(carry.state, data, k_update, step)
        if method.rewrite:
            new = method.rewrite(trainer.models(state), data, k_update)
            memory = memory._replace(stored=memory.stored.at[index].set(new))
        return Carry(state, memory, key), metrics

    def run(carry: Carry, steps: Array) -> tuple[Carry, dict[str, Array]]:
        carry, metrics = jax.lax.scan(one, carry, steps)
        return carry, jax.tree.map(jnp.nanmean, metrics)

    return jax.jit(jax.vmap(run, in_axes=(0, None)), donate_argnums=0)


def sampler(trainer: Trainer, method: Method, n: int) -> Callable[[Any, Key], tuple[Array, Array]]:
    """n generated and n executed actions of each seed: (states with a seed axis, key) -> two (seeds, n, d)."""

    def one(state: State, key: Key) -> tuple[Array, Array]:
        models, s = trainer.models(state), bandits.states((n,))
        k_generate, k_act = jax.random.split(key)
        generate = method.generate or (lambda models, s, key: models.actor.sample(key, s))
        return generate(models, s, k_generate), method.act(models, s, k_act)

    def all_seeds(states: State, key: Key) -> tuple[Array, Array]:
        seeds = jax.tree.leaves(states)[0].shape[0]
        return jax.vmap(one)(states, jax.random.split(key, seeds))

    return jax.jit(all_seeds)
