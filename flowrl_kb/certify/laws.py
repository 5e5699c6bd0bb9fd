"""Laws: train a method on three bandits with the exact critic, compare what it reaches with what its card predicts."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb import compose
from flowrl_kb.certify import law_picture, reach, subject
from flowrl_kb.certify.bounds import BOUNDS
from flowrl_kb.certify.predictors import predict
from flowrl_kb.certify.reach import SAMPLES, SEEDS, TASKS, Reached
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Array
from flowrl_kb.tasks import bandits, laws
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train import evaluate
from flowrl_kb.train.settings import Settings


def _energy(samples: Array, target: Array) -> float:
    """Mean over seeds of the energy distance of samples (seeds, n, d) to target samples (n, d)."""
    return float(jnp.mean(jax.lax.map(lambda x: laws.energy_distance(x, target), samples)))


def picture(kb: KB, node: Node) -> Path:
    return kb.root / "taxonomy" / "laws" / f"{node.id}.png"


def gain(task: Bandit, samples: Array) -> float:
    """Share of the way from the data's mean reward to the greatest one that samples (..., d) reach."""
    data = laws.behaviour(task)
    low = data.mean(bandits.reward(task, data.grid.points))
    high = jnp.max(bandits.reward(task, data.grid.points))
    return float((jnp.mean(evaluate.expected_reward(task, samples)) - low) / (high - low))


def measure(kb: KB, node: Node, force: bool = False) -> list[dict[str, Any]]:
    """One row for each task: energy distance of the reached to the predicted law, beside that of two exact samples.

    Cards that bound their loss get the distance from the bound. Every row has the share of the reward range that the
    executed actions reach, and the share that the predicted law has; methods whose law is `none` get their reason.
    """
    made = reach.prepare(kb, node)
    fingerprint = _hash(made, node)
    stored = [row.model_dump() for row in kb.verdicts.laws if row.method == node.id]
    if not force and stored and all(row.get("hash") == fingerprint for row in stored) and picture(kb, node).exists():
        return stored
    got = reach.reached(made)
    rows, panels = [], []
    for index, name in enumerate(TASKS):
        here = jax.tree.map(lambda x, index=index: x[index], got)
        row, panel = _row(made, node, bandits.get(name), here)
        rows.append(row | {"hash": fingerprint})
        panels.append(panel)
    law_picture.draw(picture(kb, node), node.card.name, panels)
    return rows


def _row(made: Settings, node: Node, task: Bandit, got: Reached) -> tuple[dict[str, Any], law_picture.Panel]:
    k_predict, k_again = jax.random.split(jax.random.key(1))
    law = node.card.law
    reached = gain(task, got.executed)
    row = {
        "method": node.id,
        "task": task.name,
        "kind": law.kind if law else "none",
        "metric": "energy distance",
        "distance": None,
        "reference_distance": None,
        "behaviour_distance": None,
        "gain": round(reached, 4) if np.isfinite(reached) else None,
        "predicted_gain": None,
        "note": (law.reason or "") if law else "",
        "settings": {
            **{k: v for k, v in made.hyper.items() if v is not None},
            "steps_trained": reach.updates(made),
            "seeds": SEEDS,
        },
    }
    prediction = predict(task, made, node, k_predict)
    subject = got.executed if prediction and prediction.executed else got.generated
    panel = (task, prediction, np.asarray(subject[0]))
    if not np.isfinite(reached):
        finite = np.isfinite(np.asarray(got.executed)).all(axis=(-2, -1))
        row["note"] = f"diverged in {len(finite) - finite.sum()} of {len(finite)} seeds. {row['note']}"
    elif prediction:
        again = predict(task, made, node, k_again)
        data = bandits.sample(task, k_again, (1, SAMPLES))
        row["distance"] = round(_energy(subject, prediction.samples), 5)
        row["reference_distance"] = round(abs(_energy(again.samples[None], prediction.samples)), 5)
        row["behaviour_distance"] = round(_energy(data, prediction.samples), 5)
        # Where the card predicts the generator, the acting rule comes on top and this figure is not that of acting.
        row["predicted_gain"] = round(gain(task, prediction.samples[None]), 4)
    elif law and law.predictor in BOUNDS:
        row |= BOUNDS[law.predictor](task, made, k_predict, got.generated, got.metrics)
    return row, panel


def _hash(made: Settings, node: Node) -> str:
    """Changes with the program that trains, its arguments, the predicted law and everything that predicts or measures.

    Code that lowers to the same program leaves it as it is.
    """
    program, arguments = reach.lowered(made)
    law = node.card.law and node.card.law.model_dump(include={"kind", "predictor"})
    inputs = [version("jaxlib"), made.hyper, made.training, dict(made.coordinates), law, program.as_text()]
    digest = hashlib.sha256(json.dumps(inputs, default=str).encode())
    for array in jax.tree.leaves(arguments[0]):
        digest.update(np.asarray(array).tobytes())
    package = Path(compose.__file__).parent
    here = [package / "certify" / f"{name}.py" for name in ("laws", "predictors", "bounds", "law_picture")]
    for file in [*here, *sorted((package / "tasks").glob("*.py"))]:
        digest.update(subject.code_of(file).encode())
    return digest.hexdigest()[:16]
