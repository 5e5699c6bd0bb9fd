"""How a bandit policy is judged: distances to exact laws, expected reward, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts.types import Array, Key
from flowrl_kb.tasks import bandits, laws
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.tasks.laws import Law
from flowrl_kb.train.ahead import QUICK

SAMPLES = 2000


def distances(law: Law, samples: Array, key: Key) -> Array:
    """Energy distance of each seed's samples (seeds, n, d) to fresh exact samples of the law: (seeds,)."""
    exact = laws.sample(law, key, samples.shape[1])
    return jax.lax.map(lambda x: laws.energy_distance(x, exact), samples)


def reference_distance(law: Law, key: Key, n: int = SAMPLES, repeats: int = 4) -> Array:
    """Root mean square energy distance between two exact samples of size n: what sampling alone costs."""
    keys = jax.random.split(key, (repeats, 2))
    found = jax.lax.map(lambda k: laws.energy_distance(laws.sample(law, k[0], n), laws.sample(law, k[1], n)), keys)
    return jnp.sqrt(jnp.mean(found**2))


def judge(law: Law, samples: Array, key: Key) -> tuple[np.ndarray, float]:
    """Distances of each seed's samples (seeds, n, d) to the law, and the reference distance at this n."""
    k_exact, k_reference = jax.random.split(key)

    def both(law: Law, samples: Array) -> tuple[Array, Array]:
        return distances(law, samples, k_exact), reference_distance(law, k_reference, samples.shape[1])

    found, reference = jax.jit(both, compiler_options=QUICK)(law, samples)
    return np.asarray(found), float(reference)


def picture(file: Path, task: Bandit, law: Law, title: str, columns: Mapping[str, Array]) -> None:
    """Target density and sampled actions side by side. Arguments: `columns` title -> samples (n, d) of one seed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    draw = _draw_1d if task.d == 1 else _draw_2d
    figure, axes = plt.subplots(1, len(columns) + 1, figsize=(3.2 * (len(columns) + 1), 3.4), layout="constrained")
    draw(axes[0], law, None)
    axes[0].set_title(title, fontsize=9)
    for axis, (name, samples) in zip(axes[1:], columns.items(), strict=True):
        draw(axis, law, np.asarray(samples))
        axis.set_title(name, fontsize=9)
    figure.suptitle(task.name, fontsize=10)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _draw_1d(axis: Any, law: Law, samples: np.ndarray | None) -> None:
    x = np.asarray(law.grid.points[:, 0])
    axis.plot(x, np.asarray(law.density), color="0.2", lw=1)
    if samples is not None:
        axis.hist(samples[:, 0], bins=80, range=(-1.6, 1.6), density=True, color="tab:blue", alpha=0.6)
    axis.set_xlim(-1.6, 1.6)
    axis.set_yticks([])


def _draw_2d(axis: Any, law: Law, samples: np.ndarray | None) -> None:
    side = round(len(law.mass) ** 0.5)
    half = law.grid.half
    if samples is None:
        density = np.asarray(law.density).reshape(side, side).T
        axis.imshow(density, origin="lower", extent=(-half, half, -half, half), cmap="Blues")
    else:
        axis.scatter(samples[:, 0], samples[:, 1], s=1.5, alpha=0.5, color="tab:blue", linewidths=0)
    axis.set_xlim(-1.6, 1.6)
    axis.set_ylim(-1.6, 1.6)
    axis.set_aspect("equal")
    axis.set_xticks([-1, 0, 1])
    axis.set_yticks([-1, 0, 1])


def expected_reward(task: Bandit, samples: Array) -> Array:
    """Mean reward of each seed's samples (seeds, n, d): (seeds,)."""
    return jnp.mean(bandits.reward(task, samples), axis=-1)
