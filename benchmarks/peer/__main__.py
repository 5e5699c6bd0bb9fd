"""python -m benchmarks.peer CHECKOUT PYTHON [NAME ...]: a flow-rl checkout, a Python that can import it, agents.

Both sides stay alive and take blocks in turn, so that what else the machine does meets both; ratios are of neighbouring
blocks. Both get the same allocator settings from the environment. Prints the table and keeps the last row of each agent
in results/peer.json.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks.peer.agents import PAIRINGS

BLOCKS = 5
HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "peer.json"


class Side:
    """One process that answers with updates per second, a block at a time."""

    def __init__(self, command: list[str], path: str):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, **pipes)
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise SystemExit(f"{' '.join(command)} ended before it was ready")

    def block(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        count, seconds = map(float, self.process.stdout.readline().split())
        return count / seconds

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(checkout: str, python: str, name: str) -> dict:
    """Updates per second of both sides in alternating blocks, and the ratios of neighbours."""
    root = str(HERE.parents[1])
    ours = Side([sys.executable, "-m", "benchmarks.peer.ours", name], root)
    theirs = Side([python, str(HERE / "theirs.py"), checkout, name], f"{checkout}:{HERE}")
    pairs = [(ours.block(), theirs.block()) for _ in range(BLOCKS)]
    ours.close()
    theirs.close()
    ratios = sorted(a / b for a, b in pairs)
    middle = statistics.median
    return {
        "ours": round(middle(a for a, _ in pairs), 3),
        "theirs": round(middle(b for _, b in pairs), 3),
        "ratio": round(middle(ratios), 2),
        "lowest": round(ratios[0], 2),
        "highest": round(ratios[-1], 2),
    }


def main(checkout: str, python: str, *names: str) -> None:
    """Measure the named agents, or all."""
    unknown = [name for name in names if name not in PAIRINGS]
    if unknown:
        raise SystemExit(f"found {', '.join(unknown)}, expected some of {', '.join(PAIRINGS)}")
    asked = "import importlib.metadata as m; print(m.version('jax'))"
    peer_jax = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    made = {"date": date.today().isoformat(), "cores": os.cpu_count(), "jax": version("jax"), "peer_jax": peer_jax}
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or PAIRINGS:
        rows[name] = row = {**measure(checkout, python, name), **made}
        print(f"{name:12} ours {row['ours']:8.2f}/s  theirs {row['theirs']:8.2f}/s", end="  ")
        print(f"ratio {row['ratio']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})", flush=True)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"median ratio of {len(rows)} agents: {statistics.median(row['ratio'] for row in rows.values()):.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
