"""Laws: train a method on two bandits with the exact critic and compare what it reaches with what its card predicts.

Exact critic, so that the actor's law is measured and not the critic's error; tasks and seeds are trained together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb import compose
from flowrl_kb.certify import store
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Array, Key, Method
from flowrl_kb.tasks import bandits, laws
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train import agent as agents
from flowrl_kb.train import bandit as loop
from flowrl_kb.train import choose, evaluate, settings
from flowrl_kb.train.on_policy import OnPolicyBanditRun
from flowrl_kb.train.settings import Settings

TASKS = ("8gaussians", "moons")
SEEDS, STEPS, SAMPLES = 2, 4000, 2000
CHANGES = {"critic": "exact", "hidden": (128, 128), "batch": 256}
"""What the measurement changes in the bandit preset."""
SUPPORT, SUPPORT_BATCH = 8, 64
"""Fresh policy actions for each state, and batch size, where every one of them is a whole chain."""
FEW_STEPS = 1000
"""Updates of methods that pay for many chains in each: on-policy, back-propagated, or with fresh support actions."""


class Prediction(NamedTuple):
    """Samples (n, d) of the predicted law, which actions it describes, and the density where there is one."""

    samples: Array
    executed: bool
    law: laws.Law | None


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


def updates(made: Settings) -> int:
    """How many updates a method is given."""
    cell = made.coordinates
    many_chains = cell["source"] in ("previous", "mixture") or cell["intermediate-value"] == "backprop"
    return FEW_STEPS if many_chains or cell["setting"] == "on-policy" else STEPS


def _settings(kb: KB, node: Node) -> Settings:
    """The bandit preset of a card with the measurement's changes."""
    choice = choose.method(kb, node.id, composed=False)
    made = Settings(node.id, choice.coordinates, dict(choice.hyper), {**settings.TRAINING, **choice.training})
    made = settings.on_bandit(made, updates(made))
    hyper = dict(made.hyper)
    if made.coordinates["direction"] == "forward" and hyper.get("candidates", 0) > SUPPORT:
        hyper["candidates"] = SUPPORT
        return made._replace(hyper=hyper, training={**made.training, **CHANGES, "batch": SUPPORT_BATCH})
    return made._replace(hyper=hyper, training={**made.training, **CHANGES})


def reached(made: Settings, node: Node) -> tuple[Array, Array]:
    """Generated and executed actions of trained policies, each (tasks, seeds, n, d)."""
    method = compose.published(node.id, {**made.hyper, "box": None})
    if made.coordinates["setting"] == "on-policy":
        return _on_policy(method, made)
    scale = made.hyper.get("reward_scale", 1.0)
    online = made.coordinates["setting"] == "online-off-policy"

    def train(arrays: dict[str, Array], key: Key) -> tuple[Array, Array]:
        task = Bandit(name="bandit/traced", **arrays)
        agent = agents.make(method, made, task)
        k_init, k_sample = jax.random.split(key)
        replay = made.training["replay"] if online else 0
        begin = jax.vmap(lambda k: loop.start(agent.trainer, task, k, replay, scale))
        run = loop.chunk(
            agent.trainer, method, task, batch=made.training["batch"], envs=made.training["envs"], scale=scale
        )
        carry, _ = run(begin(jax.random.split(k_init, SEEDS)), jnp.arange(updates(made)))
        return loop.sampler(agent.trainer, method, SAMPLES)(carry.state, k_sample)

    tasks = stack([bandits.get(name) for name in TASKS])
    return jax.jit(jax.vmap(train, in_axes=(0, None)))(tasks, jax.random.key(0))


def _on_policy(method: Method, made: Settings) -> tuple[Array, Array]:
    """As `reached`, one task after the other: roll-outs of one-step episodes."""
    both = []
    for name in TASKS:
        task = bandits.get(name)
        run = OnPolicyBanditRun(agents.make(method, made, task), task, SEEDS, 0)
        while run.step < FEW_STEPS:
            run.advance(FEW_STEPS - run.step)
        both.append(run.samples())
    generated, executed = zip(*both, strict=True)
    return jnp.stack(generated), jnp.stack(executed)


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


SIMULATIONS: dict[str, Callable[[Bandit, Settings, Key], Array]] = {"naive-field": naive_field, "proximal": proximal}
"""Predictors that give samples and no density."""


def predict(task: Bandit, made: Settings, node: Node, key: Key) -> Prediction | None:
    """What the card predicts on this bandit, or None where it predicts nothing that can be drawn."""
    law = node.card.law
    if law is None or law.kind == "none":
        return None
    if law.predictor in SIMULATIONS:
        return Prediction(SIMULATIONS[law.predictor](task, made, key), False, None)
    density = laws.predict(law.predictor, task, made.hyper)
    if density is None:
        return None
    return Prediction(laws.sample(density, key, SAMPLES), law.predictor in laws.EXECUTED, density)


def _energy(samples: Array, target: Array) -> float:
    """Mean over seeds of the energy distance of samples (seeds, n, d) to target samples (n, d)."""
    return float(jnp.mean(jax.lax.map(lambda x: laws.energy_distance(x, target), samples)))


def picture(kb: KB, node: Node) -> Path:
    return kb.root / "taxonomy" / "laws" / f"{node.id}.png"


def measure(kb: KB, node: Node, force: bool = False) -> list[dict[str, Any]]:
    """One row for each task: energy distance of the reached to the predicted law, beside that of two exact samples.

    Methods whose law is `none` get the share of the reward range that they reach instead, and their reason.
    """
    made = _settings(kb, node)
    fingerprint = _hash(made, node)
    stored = [row.model_dump() for row in kb.verdicts.laws if row.method == node.id]
    if not force and stored and all(row.get("hash") == fingerprint for row in stored) and picture(kb, node).exists():
        return stored
    generated, executed = reached(made, node)
    rows, panels = [], []
    for index, name in enumerate(TASKS):
        task = bandits.get(name)
        k_predict, k_again = jax.random.split(jax.random.key(1))
        prediction = predict(task, made, node, k_predict)
        low = laws.behaviour(task).mean(bandits.reward(task, laws.behaviour(task).grid.points))
        high = jnp.max(bandits.reward(task, laws.grid(task.d).points))
        gain = float((evaluate.expected_reward(task, executed[index]).mean() - low) / (high - low))
        reason = (node.card.law.reason or "") if node.card.law else ""
        row = {
            "method": node.id,
            "task": task.name,
            "kind": node.card.law.kind if node.card.law else "none",
            "metric": "energy distance",
            "distance": None,
            "reference_distance": None,
            "behaviour_distance": None,
            "gain": round(gain, 4) if np.isfinite(gain) else None,
            "note": reason if np.isfinite(gain) else f"diverged. {reason}",
            "settings": {
                **{k: v for k, v in made.hyper.items() if v is not None},
                "steps_trained": updates(made),
                "seeds": SEEDS,
            },
            "hash": fingerprint,
        }
        subject = generated[index]
        if prediction:
            subject = executed[index] if prediction.executed else generated[index]
            again = predict(task, made, node, k_again)
            data = bandits.sample(task, k_again, (1, SAMPLES))
            row["distance"] = round(_energy(subject, prediction.samples), 5)
            row["reference_distance"] = round(abs(_energy(again.samples[None], prediction.samples)), 5)
            row["behaviour_distance"] = round(_energy(data, prediction.samples), 5)
        rows.append(row)
        panels.append((task, prediction, np.asarray(subject[0])))
    _draw(picture(kb, node), node, panels)
    return rows


def _hash(made: Settings, node: Node) -> str:
    """Changes with the settings of the run, the published losses and everything that trains or measures."""
    package = Path(compose.__file__).parent
    digest = hashlib.sha256(json.dumps([made.hyper, made.training, dict(made.coordinates)], default=str).encode())
    files = [package / "published" / f"{node.id}.py", Path(__file__), *sorted((package / "tasks").glob("*.py"))]
    files += [package / "train/bandit.py", package / "train/on_policy.py", package / "train/update.py"]
    for file in [*files, *(package / "parts" / name for name in store.NETWORKS)]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _draw(file: Path, node: Node, panels: list[tuple[Bandit, Prediction | None, np.ndarray]]) -> None:
    """Predicted and reached actions of each task side by side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.7), layout="constrained")
    for (task, prediction, samples), left, right in zip(panels, axes[::2], axes[1::2], strict=True):
        if prediction is None:
            q = np.asarray(bandits.reward(task, laws.grid(2).points)).reshape(laws.SIDE[2], -1).T
            left.imshow(q, origin="lower", extent=(-2, 2, -2, 2), cmap="Greys")
            left.set_title(f"{task.name[7:]}: reward (no law predicted)", fontsize=8)
        elif prediction.law is not None:
            density = np.asarray(prediction.law.density).reshape(laws.SIDE[2], -1).T
            left.imshow(density, origin="lower", extent=(-2, 2, -2, 2), cmap="Blues")
            left.set_title(f"{task.name[7:]}: predicted density", fontsize=8)
        else:
            left.scatter(*np.asarray(prediction.samples).T, s=1, alpha=0.5, color="0.3", linewidths=0)
            left.set_title(f"{task.name[7:]}: predicted samples", fontsize=8)
        what = "executed" if prediction and prediction.executed else "generated"
        right.scatter(*samples.T, s=1, alpha=0.5, color="tab:blue", linewidths=0)
        right.set_title(f"{task.name[7:]}: {what} by {node.card.name}", fontsize=8)
        for axis in (left, right):
            axis.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xticks=[], yticks=[])
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=80)
    plt.close(figure)
