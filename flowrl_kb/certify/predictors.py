"""What a card predicts on a bandit: a density, or samples by simulation where no density has a closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.certify import reach
from flowrl_kb.certify.reach import SAMPLES
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Array, Key
from flowrl_kb.tasks import bandits, laws
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train import agent as agents
from flowrl_kb.train import settings
from flowrl_kb.train.settings import Settings

POPULATION = 60_000
"""Actions that stand for a law where one law is made from another."""


class Prediction(NamedTuple):
    """Samples (n, d) of the predicted law, which actions it describes, and the density where there is one."""

    samples: Array
    executed: bool
    law: laws.Law | None


def naive_field(task: Bandit, made: Settings, key: Key) -> Array:
    """Samples of the chain whose noise field is the reference's minus scale(sigma) grad Q(x_t) / temperature."""
    cell, hyper = made.coordinates, made.hyper
    path, grid = settings.path_and_grid(cell, int(hyper["steps"]), None)
    data = laws.behaviour(task)
    mean_abs = data.mean(jnp.abs(bandits.reward(task, data.grid.points)))
    divisor = mean_abs if cell["normaliser"] == "mean-abs-q" else 1.0
    exact = bandits.behaviour(task, path, grid)

    def net(x: Array, t: Array, s: Array) -> Array:
        t = jnp.broadcast_to(t, x.shape[:-1])
        slope = jax.grad(lambda points: jnp.sum(bandits.reward(task, points)))(x)
        scale = path.sigma(t)[..., None] if cell["guidance-scale"] == "score" else 1.0
        base = exact.eps(x, t, s) if cell["reference"] == "fixed" else 0.0
        return base - scale * slope / (hyper["temperature"] * divisor)

    return Field(net, path, grid, task.d, "eps", cell["sampler"]).sample(key, bandits.states((SAMPLES,)))


def proximal(task: Bandit, made: Settings, key: Key) -> Array:
    """Every sample of the exact behaviour flow, moved to the global maximiser of Q - (alpha / d) |a - psi(z)|^2."""
    path, grid = settings.path_and_grid({"path": "linear", "prediction": "velocity"}, int(made.hyper["steps"]), None)
    flow = bandits.behaviour(task, path, grid.at[0].set(0.999), "ode")
    start = flow.sample(key, bandits.states((SAMPLES,)))
    over = laws.grid(task.d, side=201)
    q, weight = bandits.reward(task, over.points), made.hyper["bc_weight"] / task.d

    def move(a: Array) -> Array:
        return over.points[jnp.argmax(q - weight * jnp.sum(jnp.square(over.points - a), axis=-1))]

    return jax.lax.map(move, start)


def renewals(task: Bandit, made: Settings, key: Key) -> Array:
    """The law after the rounds of `reach`: pi_(k+1) = E sum_j w_j delta_(a_j), w = softmax_j Q(a_j) / temperature.

    Each a_j is drawn from pi_k, and a_0 from the data where the source is a mixture; pi_0 is a policy that was not
    trained. Finitely many candidates count as they do in the loss; fields and samplers are taken as exact. Each law
    is a population, from which the next one is drawn.
    """
    agent = agents.make(reach.published(made), made, task)
    k_init, k_first, k_rounds, k_last = jax.random.split(key, 4)
    first = agent.trainer.models(agent.trainer.init(k_init)).actor.sample(k_first, bandits.states((POPULATION,)))
    data = int(made.coordinates["source"] == "mixture")

    def renew(population: Array, key: Key) -> tuple[Array, None]:
        k_group, k_data, k_choice = jax.random.split(key, 3)
        index = jax.random.randint(k_group, (made.hyper["candidates"], POPULATION), 0, POPULATION)
        group = jnp.concatenate([bandits.sample(task, k_data, (data, POPULATION)), population[index]])
        chosen = jax.random.categorical(k_choice, bandits.reward(task, group) / made.hyper["temperature"], axis=0)
        return jnp.take_along_axis(group, chosen[None, :, None], axis=0)[0], None

    rounds = reach.updates(made) // made.training["old_every"]
    last = jax.lax.scan(renew, first, jax.random.split(k_rounds, rounds))[0]
    return jax.random.choice(k_last, last, (SAMPLES,), replace=False)


SIMULATIONS: dict[str, Callable[[Bandit, Settings, Key], Array]] = {
    "naive-field": naive_field,
    "proximal": proximal,
    "renewals": renewals,
}
"""Predictors that give samples and no density."""


def predict(task: Bandit, made: Settings, node: Node, key: Key) -> Prediction | None:
    """What the card predicts on this bandit, or None where it predicts nothing that can be drawn."""
    law = node.card.law
    if law is None or law.kind == "none":
        return None
    if law.predictor in SIMULATIONS:
        draw = jax.jit(lambda k: SIMULATIONS[law.predictor](task, made, k))
        return Prediction(draw(key), False, None)
    density = laws.predict(law.predictor, task, made.hyper)
    if density is None:
        return None
    return Prediction(laws.sample(density, key, SAMPLES), laws.of_executed(law.predictor, node.coordinates), density)
