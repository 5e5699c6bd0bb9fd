"""The peer's side, run by the reader's Python in the reader's checkout: its agent's own `train_step`, unmodified.

`PYTHONPATH=CHECKOUT:HERE python theirs.py CHECKOUT NAME`; imports nothing of ours but the pairings and the protocol.
`jnp.clip` is given back its argument `a_max`, which later JAX calls `max`; DPMD and GeMPO do not trace without it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from agents import ACTION, BATCH, BATCHES, PAIRINGS, PERIOD, STATE
from blocks import answer
from omegaconf import OmegaConf

UNSET = {"train_steps": 1_000_000, "task": "HalfCheetah-v5"}
"""What its files interpolate from their surroundings."""
COUNTER, PAST = "_n_training_steps", 100_000
"""Where its agents count updates, which their schedules read, and a count past every warm-up."""


def main(checkout: str, name: str) -> None:
    """Build the agent from the peer's configuration and answer requests for blocks."""
    from flowrl.agent import offline, online
    from flowrl.types import Batch

    jnp.clip = _clip(jnp.clip)
    pairing = PAIRINGS[name]
    file = OmegaConf.load(Path(checkout) / pairing.config)
    cfg = OmegaConf.merge(UNSET, file, {"algo": pairing.theirs}).algo
    home = online if hasattr(online, pairing.agent) else offline
    agent = getattr(home, pairing.agent)(obs_dim=STATE, act_dim=ACTION, cfg=cfg, seed=0)
    agent.prepare_training()
    if hasattr(agent, COUNTER):
        setattr(agent, COUNTER, PAST)
    keys = jax.random.split(jax.random.key(1), BATCHES)
    data, step = [_batch(Batch, key) for key in keys], PAST

    def period() -> int:
        nonlocal step
        for _ in range(PERIOD):
            metrics = agent.train_step(data[step % BATCHES], step)
            step += 1
        jax.block_until_ready([x for x in metrics.values() if isinstance(x, jax.Array)])
        jax.block_until_ready([getattr(v, "params", None) for v in vars(agent).values()])
        return PERIOD

    answer(period)


def _clip(clip):
    return lambda x, *bounds, **named: clip(x, *bounds, **{"max" if k == "a_max" else k: v for k, v in named.items()})


def _batch(make, key: jax.Array):
    k_s, k_a, k_r, k_n, k_b = jax.random.split(key, 5)
    return make(
        obs=jax.random.normal(k_s, (BATCH, STATE)),
        action=jax.random.uniform(k_a, (BATCH, ACTION), minval=-1.0),
        reward=jax.random.normal(k_r, (BATCH, 1)),
        terminal=jnp.zeros((BATCH, 1)),
        next_obs=jax.random.normal(k_n, (BATCH, STATE)),
        next_action=jax.random.uniform(k_b, (BATCH, ACTION), minval=-1.0),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
