"""Error rates of the comparison: disguised copies, true changes, a power curve and the update against itself.

python -m benchmarks.error_rates run [--minutes M] [--kinds copy small]   # goes on where the last run stopped
python -m benchmarks.error_rates calibrate           # writes results/calibration.json
python -m benchmarks.error_rates summary             # writes results/error_rates.json and power.png
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import calibration, changes, copies, trials
from flowrl_kb.certify.compare import LOOKS, MARGIN

# Fixed before any result was seen.
SEED = 20261125
COUNT = 200
"""Copies; as many changes, and as many small changes."""
KINDS = ("copy", "change", "small")
METHODS = ("td3bc", "qsm", "iql", "qipo", "idql", "fql", "sac", "dac", "sdac", "fpo", "ppo", "dppo")
STREAMS = 4
"""Independent streams of each method's published update; trial number k of a method is compared with stream k mod 4."""
COPIED = 4
"""Compositions of disguises of each method (one to three disguises, drawn from the seed)."""
SMALL_LOOKS = LOOKS[:3]
"""Looks at small changes; copies and changes get as many as the method's own certificate needed (`trials.looks`)."""
VERIFY = (128, 1024)
"""Replicates of the paired difference that verifies the effect of a change; more only while it is unclear."""
WANTED = 2 * MARGIN
"""A change counts as true where the lower bound of its verified effect reaches this; others join the power curve."""
STRENGTH = (0.02, 0.5)
"""Small changes draw their strength log-uniformly from here."""

HERE = Path(__file__).resolve().parent / "results"
ROWS = HERE / "error_rates.jsonl"


def copy_plan() -> Iterator[dict[str, Any]]:
    """All copies: trial i takes method i mod 12 and goes through that method's compositions."""
    for i in range(COUNT):
        method, k = METHODS[i % len(METHODS)], i // len(METHODS)
        allowed = copies.applicable(trials.subject_of(method)[0])
        rng = np.random.default_rng([SEED, i % len(METHODS), k % COPIED])
        size = int(rng.integers(1, 4))
        names = [allowed[j].__name__ for j in rng.choice(len(allowed), size, replace=False)]
        u = np.random.default_rng([SEED, 1, i]).uniform(size=2)
        yield {"kind": "copy", "id": f"copy-{i}", "method": method, "k": k, "what": names, "u": u.tolist()}


def change_plan(kind: str) -> Iterator[dict[str, Any]]:
    """Changes without end (those too small to count are replaced by later ones), of full or of small strength."""
    tag, i = {"change": 2, "small": 3}[kind], -1
    while True:
        i += 1
        method, k = METHODS[i % len(METHODS)], i // len(METHODS)
        node, hyper = trials.subject_of(method)[:2]
        allowed = changes.applicable(node, hyper)
        order = np.random.default_rng([SEED, tag, i % len(METHODS)]).permutation(len(allowed))
        rng = np.random.default_rng([SEED, tag, i, 7])
        strength = 1.0 if kind == "change" else float(np.exp(rng.uniform(*np.log(STRENGTH))))
        name = allowed[order[k % len(allowed)]].__name__
        u = rng.uniform(size=2).tolist()
        drawn = {"kind": kind, "id": f"{kind}-{i}", "method": method, "k": k, "what": [name], "u": u}
        yield {**drawn, "strength": strength}


class Runner:
    """Published streams, kept between trials because every trial of a method meets one of them."""

    def __init__(self):
        self._published = {}

    def published(self, method: str, k: int):
        which = (method, k % STREAMS)
        if which not in self._published:
            self._published[which] = trials.published(method, f"{SEED}/published/{method}/{k % STREAMS}")
        return self._published[which]

    def run(self, trial: dict[str, Any]) -> dict[str, Any]:
        """The trial with its verdict, and with its verified effect where it is a change."""
        began, method = time.perf_counter(), trial["method"]
        first = self.published(method, trial["k"])
        label = f"{SEED}/{trial['id']}"
        found: dict[str, Any] = {"program": first.program.hash[:12]}
        if trial["kind"] == "copy":
            second = trials.disguised(method, tuple(trial["what"]), trial["u"], label)
        else:
            arguments = (method, trial["what"][0], trial["u"], trial["strength"])
            pair = trials.paired(*arguments, label + "/effect")
            for n in VERIFY:
                try:
                    size, low = trials.effect(pair.take(n), trials.subject_of(method)[3])
                except FloatingPointError:  # nothing to compare; counted apart
                    return {**trial, **found, "kind": "not-finite", "verdict": None}
                if low >= WANTED or size < 0.5 * WANTED:
                    break
            found |= {"effect": round(size, 4), "effect_low": round(low, 4)}
            if trial["kind"] == "change" and low < WANTED:
                return {**trial, **found, "kind": "too-small", "verdict": None}
            second = trials.Second(trials.paired(*arguments, label))
        found |= trials.judged(method, first, second, SMALL_LOOKS if trial["kind"] == "small" else trials.looks(method))
        return {**trial, **found, "seconds": round(time.perf_counter() - began, 1)}


def read() -> list[dict[str, Any]]:
    """The trials so far whose published update is still the same program; others are done anew."""
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []
    now = {method: trials.published(method, "").program.hash[:12] for method in {row["method"] for row in rows}}
    return [row for row in rows if row["program"] == now[row["method"]]]


def run(minutes: float, kinds: list[str]) -> None:
    """Run trials of the kinds in turn until each has its count, or the time is over; two runs must not share a kind."""
    until, runner = time.monotonic() + 60 * minutes, Runner()
    rows = read()
    done = {row["id"] for row in rows}
    count = {kind: sum(row["kind"] == kind for row in rows) for kind in kinds}
    plans = {kind: copy_plan() if kind == "copy" else change_plan(kind) for kind in kinds}
    HERE.mkdir(exist_ok=True)
    while plans and time.monotonic() < until:
        for kind in list(plans):
            trial = next((t for t in plans[kind] if t["id"] not in done), None)
            if trial is None or count[kind] >= COUNT:
                del plans[kind]
                continue
            row = runner.run(trial)
            count[kind] += row["kind"] == kind
            with ROWS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        asked = argparse.ArgumentParser()
        asked.add_argument("--minutes", type=float, default=1e9)
        asked.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
        run(**vars(asked.parse_args(sys.argv[2:])))
    elif sys.argv[1:2] == ["calibrate"]:
        calibration.write(HERE / "calibration.json", METHODS, SEED)
    elif sys.argv[1:2] == ["summary"]:
        from benchmarks.error_report import write

        found = read()
        missing = {kind: COUNT - sum(row["kind"] == kind for row in found) for kind in KINDS}
        if any(missing.values()):
            raise SystemExit(f"nothing written: trials of the present programs still missing: {missing}")
        write(found)
    else:
        raise SystemExit(__doc__)
