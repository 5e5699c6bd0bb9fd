"""Pictures of reached laws beside predicted ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowrl_kb.certify.predictors import Prediction
from flowrl_kb.tasks import bandits, laws
from flowrl_kb.tasks.bandits import Bandit

Panel = tuple[Bandit, Prediction | None, np.ndarray]
"""A task, what was predicted on it, and samples (n, d) that were reached."""


def draw(file: Path, name: str, panels: list[Panel]) -> None:
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
        right.set_title(f"{task.name[7:]}: {what} by {name}", fontsize=8)
        for axis in (left, right):
            axis.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xticks=[], yticks=[])
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=80)
    plt.close(figure)
