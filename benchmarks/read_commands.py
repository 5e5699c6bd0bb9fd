"""How long the reading commands take, interpreter start included: lowest, median and highest of RUNS runs each.

python -m benchmarks.read_commands        # writes results/read_commands.json
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

RUNS = 5
COMMANDS = (
    "--help",
    "list",
    "show sdac",
    "axes route",
    "cell route=pathwise",
    "query route=pathwise",
    "relate sdac qsm",
    "classes",
    "ledger",
    "open",
    "check",
    "export json",
)
RESULT = Path(__file__).resolve().parent / "results" / "read_commands.json"


def seconds(command: str) -> float:
    """Wall time of one call in a process of its own."""
    began = time.perf_counter()
    call = [sys.executable, "-m", "flowrl_kb", *command.split()]
    subprocess.run(call, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    took = {}
    for command in COMMANDS:
        seconds(command)  # the first call after a change of a file reads everything anew
        took[command] = sorted(seconds(command) for _ in range(RUNS))
        low, middle, high = took[command][0], statistics.median(took[command]), took[command][-1]
        print(f"{command:24}{low:6.2f}{middle:6.2f}{high:6.2f} s", flush=True)
    figures = {command: [round(s, 3) for s in runs] for command, runs in took.items()}
    made = {"date": date.today().isoformat(), "python": sys.version.split()[0], "cores": os.cpu_count()}
    RESULT.write_text(json.dumps(made | {"seconds": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
