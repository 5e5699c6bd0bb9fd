"""Pictures of reached laws beside predicted ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowrl_kb.certify.predictors import Prediction
from flowrl_kb.tasks import bandits, laws
from flowrl_kb.tasks.bandits import Bandit

Panel = tuple[Bandit, Prediction | None, np.ndarray]
"""A task, what was predicted on it, and samples (n, d) that were reached."""


POINT = 0.02
"""Samples that spread less are drawn large, because a point would not be seen."""


def draw(file: Path, name: str, panels: list[Panel]) -> None:
    """One column for each task: predicted actions above, reached ones below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(panels), figsize=(2.6 * len(panels), 5.4), layout="constrained")
    for (task, prediction, samples), above, below in zip(panels, *axes, strict=True):
        if prediction is None:
            q = np.asarray(bandits.reward(task, laws.grid(2).points)).reshape(laws.SIDE[2], -1).T
            above.imshow(q, origin="lower", extent=(-2, 2, -2, 2), cmap="Greys")
            above.set_title(f"{task.name[7:]}: reward (no law predicted)", fontsize=8)
        elif prediction.law is not None:
            density = np.asarray(prediction.law.density).reshape(laws.SIDE[2], -1).T
            above.imshow(density, origin="lower", extent=(-2, 2, -2, 2), cmap="Blues")
            above.set_title(f"{task.name[7:]}: predicted density", fontsize=8)
        else:
            above.scatter(*np.asarray(prediction.samples).T, s=1, alpha=0.5, color="0.3", linewidths=0)
            above.set_title(f"{task.name[7:]}: predicted samples", fontsize=8)
        what = "executed" if prediction and prediction.executed else "generated"
        size = 1 if np.all(samples.std(axis=0) > POINT) else 16
        below.scatter(*samples.T, s=size, alpha=0.5, color="tab:blue", linewidths=0)
        below.set_title(f"{task.name[7:]}: {what} by {name}", fontsize=8)
        for axis in (above, below):
            axis.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xticks=[], yticks=[])
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=80)
    plt.close(figure)
