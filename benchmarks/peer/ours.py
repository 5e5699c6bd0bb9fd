"""Our side: blocks of scanned updates, asked for by lines on standard input. `python -m benchmarks.peer.ours NAME`."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp

from benchmarks.peer.agents import ACTION, BATCH, BATCHES, PAIRINGS, PERIOD, STATE
from benchmarks.peer.blocks import answer
from flowrl_kb.kb.load import load
from flowrl_kb.parts.types import Batch
from flowrl_kb.tasks.gym import Task
from flowrl_kb.train import build, choose, settings
from flowrl_kb.train.off_policy import scanned


def batches(key: jax.Array) -> Batch:
    """PERIOD of BATCHES batches of random transitions."""
    k_s, k_a, k_r, k_n = jax.random.split(key, 4)
    made = Batch(
        s=jax.random.normal(k_s, (BATCHES, BATCH, STATE)),
        a=jax.random.uniform(k_a, (BATCHES, BATCH, ACTION), minval=-1.0),
        reward=jax.random.normal(k_r, (BATCHES, BATCH)),
        next_s=jax.random.normal(k_n, (BATCHES, BATCH, STATE)),
        not_done=jnp.ones((BATCHES, BATCH)),
    )
    return jax.tree.map(lambda x: x[:PERIOD], made)


def main(name: str) -> None:
    """Build the agent and answer requests for blocks."""
    pairing, task = PAIRINGS[name], Task("peer", "peer", STATE, ACTION)
    kb = load()
    choice = choose.method(kb, pairing.ours, composed=False)
    chosen = settings.override(build.settled(kb, choice, task, 1), {**pairing.settings, "batch": BATCH})
    agent = build.agent(choice, chosen, task)
    start = agent.trainer.init(jax.random.key(0))  # its targets share buffers, which cannot be given away twice
    state, run = jax.tree.map(jnp.copy, start), scanned(agent)
    data, made = batches(jax.random.key(1)), 0

    def chunk() -> int:
        nonlocal state, made
        steps = jnp.arange(made, made + PERIOD)
        state, metrics, _ = run(state, data, jax.random.fold_in(jax.random.key(2), made), steps)
        jax.block_until_ready((state, metrics))
        made += PERIOD
        return PERIOD

    answer(chunk)


if __name__ == "__main__":
    main(sys.argv[1])
