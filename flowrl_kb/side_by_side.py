"""Several measurements at once, in processes: tracing holds Python's lock, for which threads would wait."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import Any

Task = tuple[Callable, tuple]
"""A function that other processes can import, and its arguments."""
JOBS = min(os.cpu_count() or 1, 8)
"""Processes unless the user says otherwise; each needs one to two GB."""


def _depend() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def results(tasks: list[Task], jobs: int) -> Iterator[tuple[Callable, Any]]:
    """Each task's function and result, as they are ready; in this process where one is enough.

    Whatever ends the iteration early ends the processes, wherever they are.
    """
    if min(jobs, len(tasks)) < 2:
        yield from ((function, function(*arguments)) for function, arguments in tasks)
        return
    others = set(active_children())
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _depend)
    try:
        asked = {pool.submit(function, *arguments): function for function, arguments in tasks}
        for done in as_completed(asked):
            yield asked[done], done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(active_children()) - others:
            process.terminate()
            process.join()
