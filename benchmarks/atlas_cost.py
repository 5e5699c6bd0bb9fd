"""What a fingerprint of every slot costs: cold, with a warm compilation cache, and with nothing changed.

    python -m benchmarks.atlas_cost        # writes results/atlas_cost.json and atlas_cost.png

Each stage is a process of its own on empty or kept caches. Default precision is REPLICATES replicates of every slot of
the methods and variants with published losses; one audit of a loss that the atlas has not seen is timed as well.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path

from flowrl_kb.certify.compare import LOOKS

REPLICATES = LOOKS[1]
HERE = Path(__file__).resolve().parent / "results"


def stage() -> None:
    """Fingerprint all of them, two slots at a time; print the seconds after each, and the peak memory in MiB."""
    began = time.perf_counter()
    from flowrl_kb import compose
    from flowrl_kb.certify import subject
    from flowrl_kb.kb.code import executable, published
    from flowrl_kb.kb.load import load

    def every():
        for node in (node for node in executable(load(), variants=True) if published(node.id)):
            method = compose.of_node(node, hyper=subject.laboratory_hyper(node))
            yield from ((node.id, subject.fingerprint(node, slot)) for slot in subject.slots(method))

    def one(asked) -> str:
        method, update = asked
        update.take(REPLICATES)
        return method

    marks = {}
    with ThreadPoolExecutor(2) as pool:
        for method in pool.map(one, every()):
            marks[method] = round(time.perf_counter() - began, 2)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"marks": list(marks.items()), "memory_mib": memory}))


def measured(prints: Path, compiled: Path) -> dict:
    """One stage in a process of its own with the given caches."""
    caches = {"FLOWRL_KB_CACHE": str(prints), "JAX_COMPILATION_CACHE_DIR": str(compiled)}
    command = [sys.executable, "-m", "benchmarks.atlas_cost", "stage"]
    done = subprocess.run(command, env=os.environ | caches, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def audited(compiled: Path) -> float:
    """Seconds of one cold audit of the example loss."""
    began = time.perf_counter()
    example = HERE.parents[1] / "examples" / "my_variant.py:loss"
    env = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(compiled), "FLOWRL_KB_CACHE": str(compiled / "prints")}
    subprocess.run([sys.executable, "-m", "flowrl_kb", "audit", str(example)], env=env, check=True, stdout=-3)
    return round(time.perf_counter() - began, 1)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        found = {"audit_cold_seconds": audited(root / "jax-of-audit")}
        print(f"one audit, cold: {found['audit_cold_seconds']} s", flush=True)
        for name, prints in (("cold", "first"), ("compiled", "second"), ("rerun", "second")):
            found[name] = measured(root / prints, root / "jax")
            print(in_words(name, found[name]), flush=True)
    found |= {"date": date.today().isoformat(), "cpus": os.cpu_count(), "replicates": REPLICATES}
    found["made"] = {name: version(name) for name in ("jax", "jaxlib", "numpy")}
    HERE.mkdir(exist_ok=True)
    (HERE / "atlas_cost.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    draw(found)


def in_words(name: str, one: dict) -> str:
    total, methods = one["marks"][-1][1], len(one["marks"])
    each = f"{total / methods:.1f} s each"
    return f"{name}: {total:.1f} s for {methods} methods and variants, {each}, peak {one['memory_mib']} MiB"


def draw(found: dict) -> None:
    """Seconds against number of methods."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name in ("cold", "compiled", "rerun"):
        seconds = [mark[1] for mark in found[name]["marks"]]
        axes.plot(range(1, len(seconds) + 1), seconds, marker=".", label=name)
    axes.set(xlabel="methods and variants fingerprinted", ylabel="seconds", ylim=(0, None))
    axes.legend()
    figure.savefig(HERE / "atlas_cost.png", dpi=110)


if __name__ == "__main__":
    stage() if sys.argv[1:2] == ["stage"] else main()
