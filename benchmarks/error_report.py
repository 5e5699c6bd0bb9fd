"""Counts and the power curve of the error-rate benchmark."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from flowrl_kb.certify.compare import MARGIN, WIDE


def write(rows: list[dict[str, Any]]) -> None:
    """Write results/error_rates.json: counts of verdicts by kind, how many trials were wanted, and small effects."""
    from benchmarks import error_rates as plan

    kinds = ("copy", "change", "small", "too-small")
    counts = {kind: dict(Counter(str(r["verdict"]) for r in rows if r["kind"] == kind)) for kind in kinds}
    curve = [[r["effect"], r["verdict"], r["replicates"]] for r in rows if r["kind"] == "small"]
    data = {
        "date": date.today().isoformat(),
        "made": {name: version(name) for name in ("jax", "jaxlib", "numpy")},
        "hardware": "2-core CPU, shared with other jobs",
        "wanted": plan.COUNT,
        "published_streams": plan.STREAMS,
        "counts": counts,
        "small_effects": sorted(curve, key=lambda row: row[0]),
    }
    (plan.HERE / "error_rates.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    power(rows, plan.HERE / "power.png")


def power(rows: list[dict[str, Any]], file: Path) -> None:
    """Share of changes called different (and equal) against their verified effect, in bins of equal width in log."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from scipy.stats import beta

    effect = np.array([max(r["effect"], 1e-4) for r in rows if r["kind"] in ("small", "change")])
    verdict = np.array([r["verdict"] for r in rows if r["kind"] in ("small", "change")])
    edges = np.geomspace(1e-3, 2.0, 12)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, colour in (("different", "tab:red"), ("equal", "tab:blue")):
        inside = [(effect >= a) & (effect < b) for a, b in pairwise(edges)]
        centre = np.sqrt(edges[:-1] * edges[1:])
        n, k = np.array([m.sum() for m in inside]), np.array([(verdict[m] == name).sum() for m in inside])
        low, high = beta.ppf(0.025, k, n - k + 1), beta.ppf(0.975, k + 1, n - k)
        some = n > 0
        share = k[some] / n[some]
        bars = [share - np.nan_to_num(low[some]), np.nan_to_num(high[some], nan=1.0) - share]
        axes.errorbar(centre[some], share, bars, marker="o", color=colour, label=f"called {name}", capsize=2)
    for margin in (MARGIN, WIDE):
        axes.axvline(margin, color="grey", linestyle=":")
    axes.set(
        xscale="log", xlabel="verified relative residual of the change", ylabel="share of trials", ylim=(-0.03, 1.03)
    )
    axes.legend()
    figure.savefig(file, dpi=110)
