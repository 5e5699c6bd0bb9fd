"""Verdicts on disk: which are still fresh, and how new ones are merged in without losing the others."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from flowrl_kb.certify import compare, moments, numbers, subject
from flowrl_kb.certify.fingerprint import Fingerprint
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.verdicts import SCHEMA


def code_hash(*names: str, more: Iterable[ModuleType] = ()) -> str:
    """16 hex digits of all code that certificates of the named published modules (and `more`) depend on."""
    parts = [subject.code_hash(), *(subject.code_hash(*subject.modules(name)) for name in names)]
    return _digest(*parts, *_codes(compare, moments, numbers, *more))


@cache
def modules_hash(*modules: ModuleType) -> str:
    """16 hex digits of what modules compute: comments and layout leave it as it is."""
    return _digest(*_codes(*modules))


def _codes(*modules: ModuleType) -> list[str]:
    return [subject.code_of(Path(module.__file__)) for module in modules]


def _digest(*texts: str) -> str:
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]


def made_from(*updates: Fingerprint | None, more: tuple[ModuleType, ...] = ()) -> str:
    """What a verdict was made from: 16 hex digits for each update (program, scenarios, keys) and for what judged them.

    Code may change and leave all of this as it is; then the verdict stands (see `kept`).
    """
    programs = ("-" if made is None else made.identity[:16] for made in updates)
    return " ".join([*programs, modules_hash(compare, moments, *more)])


def judges(kind: str | None) -> tuple[ModuleType, ...]:
    """What judges updates of a kind of trained object beside what judges all."""
    return (numbers,) if kind == "scalar" else ()


def path(kb: KB) -> Path:
    return kb.root / "taxonomy" / "verdicts.json"


def read(kb: KB) -> dict[str, Any]:
    """The stored verdicts as plain data, or an empty set."""
    lists = ("certificates", "mutations", "stationarity", "pairs", "identities", "witnesses", "laws")
    empty = {key: [] for key in lists}
    if not path(kb).exists():
        return {"schema": SCHEMA, "made": {}, **empty}
    return {**empty, **json.loads(path(kb).read_text(encoding="utf-8"))}


def replaced(rows: list[dict], new: list[dict], same: Callable[[dict], bool]) -> list[dict]:
    """`rows` without those for which `same` holds, plus `new`, in a stable order."""
    merged = [row for row in rows if not same(row)] + new
    return sorted(
        merged, key=lambda row: json.dumps({k: row[k] for k in row if isinstance(row[k], str)}, sort_keys=True)
    )


def kept(rows: Iterable[dict], new: dict) -> dict | None:
    """The stored row with all the fields of `new`, `made_from` among them, if there is one: its verdict stands."""
    return next((row for row in rows if all(row.get(k) == v for k, v in new.items())), None)


def write(kb: KB, data: dict[str, Any]) -> None:
    """Write all verdicts in one step, so that an interrupted run leaves the old file or the new one."""
    data["made"] = {name: version(name) for name in ("jax", "jaxlib", "numpy")}
    temporary = path(kb).with_suffix(".tmp")
    temporary.write_text(_text(data), encoding="utf-8")
    os.replace(temporary, path(kb))


def _text(data: dict[str, Any]) -> str:
    """JSON with one row a line, so that a changed verdict is one changed line."""
    line = lambda value: json.dumps(value, ensure_ascii=False)  # noqa: E731
    rows = lambda value: "[\n" + ",\n".join(map(line, value)) + "\n]" if isinstance(value, list) else line(value)  # noqa: E731
    return "{\n" + ",\n".join(f"{line(name)}: {rows(value)}" for name, value in data.items()) + "\n}\n"
