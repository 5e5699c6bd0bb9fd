"""The host loop that every kind of run shares: progress, logs, checkpoints, interrupts."""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from jax.stages import Lowered

from flowrl_kb.train import checkpoint
from flowrl_kb.train.log import Log

RECENT = 8
"""Chunks over which rates are averaged, because not every chunk holds updates; the first one, which compiles, is
left out as soon as there is a second."""


class Run(Protocol):
    """A training run that advances in chunks.

    `unit` names what `step` counts; `compile()` may prepare what follows; `advance()` does one chunk of at most `limit`
    steps and returns its metrics; `trace()` gives the programs of updates and of acting before compilation;
    `evaluate()` returns metrics of the policy; `state()` is everything that the next chunk depends on.
    """

    unit: str
    step: int

    def compile(self) -> None: ...
    def advance(self, limit: int) -> Mapping[str, Any]: ...
    def trace(self) -> tuple[Lowered, ...]: ...
    def evaluate(self) -> Mapping[str, Any]: ...
    def state(self) -> Any: ...
    def load(self, step: int, state: Any) -> None: ...


@contextmanager
def interruptible() -> Iterator[list[bool]]:
    """A flag that the first SIGINT sets; the second one interrupts at once."""
    flag: list[bool] = []

    def note(signum: int, frame: Any) -> None:
        if flag:
            raise KeyboardInterrupt
        flag.append(True)
        print("\nstopping after this chunk (again to stop at once)", file=sys.stderr)

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, previous)


def drive(
    run: Run, folder: Path, steps: int, *, evaluate_every: int | None = None, save_every: int | None = None
) -> bool:
    """Advance a run to `steps`; False when it was interrupted. Writes metrics and a checkpoint at the end either way.

    Arguments: `evaluate_every`, `save_every` in steps (None: only at the end).
    """
    log = Log(folder, run.step)
    evaluated = saved = run.step
    recent: deque[tuple[int, float]] = deque(maxlen=RECENT)
    chunks = 0
    with interruptible() as stop, _bar(steps, run.unit) as show:
        run.compile()
        while run.step < steps and not stop:
            before, began = run.step, time.perf_counter()
            metrics = dict(run.advance(steps - run.step))
            if chunks == 1:
                recent.clear()
            chunks += 1
            recent.append((run.step - before, time.perf_counter() - began))
            rate = sum(n for n, _ in recent) / sum(t for _, t in recent)
            if evaluate_every and (run.step - evaluated >= evaluate_every or run.step >= steps):
                metrics |= run.evaluate()
                evaluated = run.step
            log.write(run.step, {**metrics, "steps_per_second": rate})
            show(run.step, metrics, rate)
            if save_every and run.step - saved >= save_every:
                checkpoint.save(folder, run.step, run.state())
                saved = run.step
        checkpoint.save(folder, run.step, run.state())
    log.close()
    return run.step >= steps


@contextmanager
def _bar(steps: int, unit: str) -> Iterator[Any]:
    """A progress bar with rate and time left; on a pipe, about ten plain lines instead."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    began, printed = time.perf_counter(), [0]
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.completed:>8.0f}/{task.total:.0f} " + unit),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=steps, rate="compiling", note="")

        def show(step: int, metrics: Mapping[str, Any], rate: float) -> None:
            note = f"return {float(metrics['return']):.0f}" if "return" in metrics else ""
            progress.update(task, completed=step, rate=f"{rate:.0f} {unit}/s", note=note)
            if not console.is_terminal and (step * 10 // steps > printed[0] or step >= steps):
                printed[0] = step * 10 // steps
                left = f", about {(steps - step) / rate:.0f} s left" if step < steps else ""
                spent = time.perf_counter() - began
                line = f"{step}/{steps} {unit}, {spent:.0f} s, {rate:.0f} {unit}/s{left}"
                print(line + (f", {note}" if note else ""), file=sys.stderr, flush=True)

        yield show
