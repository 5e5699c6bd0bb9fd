"""The laws that methods reach: one training of all tasks and seeds together, with the exact critic.

Exact critic, so that the actor's law is measured and not the critic's error.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb import compose
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Array, Key, Method
from flowrl_kb.tasks import bandits
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train import agent as agents
from flowrl_kb.train import bandit as loop
from flowrl_kb.train import choose, on_policy, settings
from flowrl_kb.train.agent import Agent
from flowrl_kb.train.settings import Settings
from flowrl_kb.train.update import State

TASKS = ("8gaussians", "moons", "rings")
SEEDS, STEPS, SAMPLES = 2, 4000, 2000
CHANGES = {"critic": "exact", "hidden": (128, 128), "batch": 256}
"""What the measurement changes in the bandit preset."""
SUPPORT, SUPPORT_BATCH = 8, 64
"""Fresh policy actions for each state, and batch size, where every one of them is a whole chain."""
CHAINS = {"hidden": (64, 64)}
"""Further changes for methods that run many chains in each update."""
FEW_STATES = {**CHAINS, "batch": 64, "rollout": 256}
"""Changes for methods that value many states behind each one, or carry adjoints back along chains that are drawn for
every round: at the sizes of the others each of them took over a quarter of an hour."""
ALONG_CHAINS = ("backprop", "adjoint")
CHAIN_STEPS, ROUND_STEPS = 2000, 1000
"""Updates of methods that carry gradients back along chains; those of a round of learning from the previous policy."""
ROUNDS = 3
"""Rounds of methods that learn from the previous policy: it is renewed ROUNDS - 1 times after the fresh one.

Only where a renewal comes after many updates is the target of each known; cards renew before every update or leave the
period open.
"""
ON_POLICY_STEPS = 2000
"""Updates of on-policy methods."""
BATCHES = 400
"""Batches over which the published loss of a trained actor is averaged."""


class Reached(NamedTuple):
    """Generated and executed actions (tasks, seeds, n, d), and metrics of an offline actor's loss (tasks, seeds)."""

    generated: Array
    executed: Array
    metrics: dict[str, Array]


def renewing(made: Settings) -> bool:
    """Whether the method learns from fresh actions of a previous policy that stays for a while."""
    return made.coordinates["source"] in ("previous", "mixture") and made.coordinates["setting"] != "on-policy"


def costly(made: Settings) -> bool:
    """Whether one state of an update costs many evaluations of networks."""
    at = made.coordinates
    values_steps = at["intermediate-value"] == "path-value" and at["space"] == "path"
    fresh_adjoints = at["intermediate-value"] == "adjoint" and at["setting"] == "on-policy"
    return values_steps or fresh_adjoints or at["sampler"] == "coupled-euler"


def updates(made: Settings) -> int:
    """How many updates a method is given."""
    if made.coordinates["setting"] == "on-policy":
        return ON_POLICY_STEPS
    if renewing(made):
        return ROUNDS * ROUND_STEPS
    return CHAIN_STEPS if made.coordinates["intermediate-value"] in ALONG_CHAINS else STEPS


def prepare(kb: KB, node: Node) -> Settings:
    """The bandit preset of a card with the measurement's changes."""
    choice = choose.method(kb, node.id, composed=False)
    made = Settings(node.id, choice.coordinates, dict(choice.hyper), {**settings.TRAINING, **choice.training})
    made = settings.on_bandit(made, updates(made))
    hyper, training = dict(made.hyper), {**made.training, **CHANGES}
    if made.coordinates["intermediate-value"] in ALONG_CHAINS:
        training |= CHAINS
    if made.coordinates["direction"] == "forward" and hyper.get("candidates", 0) > SUPPORT:
        hyper["candidates"] = SUPPORT
        training["batch"] = SUPPORT_BATCH
    if costly(made):
        training |= FEW_STATES
    if renewing(made):
        # The target stands still within a round, so that the rate of a fixed target is safe.
        training |= {**CHAINS, "old_every": ROUND_STEPS, "learning_rate": settings.BANDIT["learning_rate"]}
    return made._replace(hyper=hyper, training=training)


def published(made: Settings) -> Method:
    """The published losses with these settings."""
    return compose.published(made.name, {**made.hyper, "box": None})


def stack(tasks: list[Bandit]) -> dict[str, Array]:
    """Arrays of several bandits along a leading axis, padded with components of no weight and bumps of no height."""

    def pad(a: Array, n: int) -> Array:
        return jnp.pad(a, [(0, n - len(a))] + [(0, 0)] * (a.ndim - 1))

    components, bumps = max(len(t.weights) for t in tasks), max(len(t.heights) for t in tasks)
    rows = [
        {
            "means": pad(t.means, components),
            "weights": pad(t.weights, components),
            "centres": pad(t.centres, bumps),
            "heights": pad(t.heights, bumps),
            "std": jnp.asarray(t.std),
            "width": jnp.asarray(t.width),
        }
        for t in tasks
    ]
    return {name: jnp.stack([row[name] for row in rows]) for name in rows[0]}


def reached(made: Settings) -> Reached:
    """Train all tasks and seeds under one vmap and draw from what they reach."""
    program, arguments = lowered(made)
    return program.compile()(*arguments)


def lowered(made: Settings) -> tuple[jax.stages.Lowered, tuple[dict[str, Array], Key]]:
    """The program of `reached` before compilation, and its arguments: everything that the reached laws depend on."""
    method, setting = published(made), made.coordinates["setting"]
    train = _on_policy if setting == "on-policy" else _off_policy

    def one(arrays: dict[str, Array], key: Key) -> Reached:
        task = Bandit(name="bandit/traced", **arrays)
        agent = agents.make(method, made, task)
        k_train, k_sample, k_loss = jax.random.split(key, 3)
        states = train(agent, task, k_train, updates(made))
        generated, executed = loop.sampler(agent.trainer, method, SAMPLES)(states, k_sample)
        metrics = jax.vmap(lambda state: _metrics(agent, task, state, k_loss))(states) if setting == "offline" else {}
        return Reached(generated, executed, metrics)

    tasks = stack([bandits.get(name) for name in TASKS])
    arguments = (tasks, jax.random.key(0))
    # Unused arguments are kept, so that programs which read different ones have different texts.
    return jax.jit(jax.vmap(one, in_axes=(0, None)), keep_unused=True).lower(*arguments), arguments


def _off_policy(agent: Agent, task: Bandit, key: Key, steps: int) -> State:
    """Final states of all seeds."""
    training, online = agent.training, agent.coordinates["setting"] == "online-off-policy"
    replay, scale = training["replay"] if online else 0, training["reward_scale"]
    begin = jax.vmap(lambda k: loop.start(agent.trainer, task, k, replay, scale, agent.method.rewrite is not None))
    run = loop.chunk(agent.trainer, agent.method, task, batch=training["batch"], envs=training["envs"], scale=scale)
    return run(begin(jax.random.split(key, SEEDS)), jnp.arange(steps))[0].state


def _on_policy(agent: Agent, task: Bandit, key: Key, steps: int) -> State:
    """Final states of all seeds after the whole rounds that hold at least `steps` updates."""
    k_init, k_rounds = jax.random.split(key)
    improve = jax.vmap(on_policy.bandit_round(agent, task), in_axes=(0, 0, None))
    size = agent.training["epochs"] * agent.training["minibatches"]
    rounds = -(-steps // size)

    def one(states: State, xs: tuple[Key, Array]) -> tuple[State, None]:
        return improve(states, jax.random.split(xs[0], SEEDS), xs[1])[0], None

    begin = jax.vmap(agent.trainer.init)(jax.random.split(k_init, SEEDS))
    return jax.lax.scan(one, begin, (jax.random.split(k_rounds, rounds), size * jnp.arange(rounds)))[0]


def _metrics(agent: Agent, task: Bandit, state: State, key: Key) -> dict[str, Array]:
    """Metrics of the actor's published loss on fresh data, averaged over BATCHES batches."""

    def one(key: Key) -> dict[str, Array]:
        k_data, k_loss = jax.random.split(key)
        a = bandits.sample(task, k_data, (agent.training["batch"],))
        data = loop.transitions(a, agent.training["reward_scale"] * bandits.reward(task, a))
        return dict(agent.method.losses["actor"](agent.trainer.models(state), data, key=k_loss)[1])

    return jax.tree.map(jnp.mean, jax.lax.map(one, jax.random.split(key, BATCHES)))
