"""Updates against themselves: are the p-values of the comparison as rare as they claim?

Independent streams of one published update, PAIRS pairs for each method, REPLICATES replicates on each side.
"""

from __future__ import annotations

import json
from datetime import date
from importlib.metadata import version

import numpy as np

from benchmarks import trials
from flowrl_kb.certify.compare import best_scale, exceedance, references
from flowrl_kb.certify.moments import Moments

PAIRS, REPLICATES = 16, 64
LEVELS = (0.1, 0.01, 0.001, 0.0001)


def p_values(p: Moments, c: Moments, rows: int) -> np.ndarray:
    """The p-value of every live block against "no difference", as `compare` computes it."""
    reference, alive = references(p, rows)
    kappa = best_scale(p, c, reference, alive)
    mean, covariance = p.mean - kappa * c.mean, p.of_mean + kappa**2 * c.of_mean
    found = [
        exceedance(np.linalg.eigvalsh(covariance[i]), float(np.sum(mean[i] ** 2)))
        for i in zip(*np.nonzero(alive), strict=True)
    ]
    return np.array(found)


def run(methods: tuple[str, ...], seed: int) -> dict[str, object]:
    """Shares of blocks, and of whole comparisons (Bonferroni over blocks), whose p-value is below each level."""
    blocks, smallest = [], []
    for method in methods:
        rows = trials.subject_of(method)[3]
        for k in range(PAIRS):
            p, c = (
                trials.published(method, f"{seed}/self/{method}/{k}/{side}").take(REPLICATES) for side in ("a", "b")
            )
            found = p_values(p, c, rows)
            blocks.append(found)
            smallest.append(found.min() * len(found))
        print(method, flush=True)
    every = np.concatenate(blocks)
    return {
        "date": date.today().isoformat(),
        "made": {name: version(name) for name in ("jax", "jaxlib", "numpy")},
        "comparisons": len(smallest),
        "blocks": len(every),
        "replicates": REPLICATES,
        "share_of_blocks_below": {str(a): float(np.mean(every < a)) for a in LEVELS},
        "share_of_comparisons_below": {str(a): float(np.mean(np.array(smallest) < a)) for a in LEVELS},
    }


def write(file, methods: tuple[str, ...], seed: int) -> None:
    file.write_text(json.dumps(run(methods, seed), indent=1) + "\n", encoding="utf-8")
