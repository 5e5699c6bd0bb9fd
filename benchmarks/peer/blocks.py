"""One side of the comparison answers each line on standard input with the updates and seconds of one block."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

WARM = 2
"""Calls before the first block, compilation included."""


def answer(some: Callable[[], int], least: float = 2.0) -> None:
    """`some` makes updates, waits for them and returns how many; a block takes at least `least` seconds."""
    for _ in range(WARM):
        some()
    print("ready", flush=True)
    for _ in sys.stdin:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < least:
            count += some()
        print(count, time.perf_counter() - began, flush=True)
