"""Counts of the error-rate benchmark as JSON."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from importlib.metadata import version
from typing import Any


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
        "looks": plan.TRIAL_LOOKS,
        "published_streams": plan.STREAMS,
        "counts": counts,
        "small_effects": sorted(curve, key=lambda row: row[0]),
    }
    (plan.HERE / "error_rates.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
