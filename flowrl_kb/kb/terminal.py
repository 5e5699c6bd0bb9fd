"""Printing answers: tables on a terminal, plain tab-separated text in a pipe, JSON on request."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def emit(data: Any) -> None:
    """Print data as JSON."""
    print(json.dumps(plain(data), indent=1, ensure_ascii=False))


def plain(data: Any) -> Any:
    """Return data made of dictionaries, lists and scalars only."""
    if hasattr(data, "model_dump"):
        return data.model_dump(mode="json", by_alias=True)
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return {f.name: plain(getattr(data, f.name)) for f in dataclasses.fields(data)}
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if hasattr(data, "_asdict"):
        return plain(data._asdict())
    if isinstance(data, (set, frozenset)):
        return sorted(plain(value) for value in data)
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    return data


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table: drawn by rich on a terminal, tab-separated elsewhere."""
    rows = [[("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        if title:
            print(title)
        for row in ([*head], *rows) if any(head) else rows:
            print("\t".join(row).rstrip())
        return
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(head),
        title_style="bold",
    )
    for name in head:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*map(escape, row))
    Console(highlight=False).print(drawn)


def heading(text: str) -> None:
    """Print a heading, bold on a terminal."""
    print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text)


def wrapped(text: str, indent: str = "") -> None:
    """Print text folded to the terminal's width; unfolded in a pipe."""
    if not sys.stdout.isatty():
        print(indent + text)
        return
    import shutil
    import textwrap

    width = max(40, shutil.get_terminal_size().columns - 1)
    print(textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent))
