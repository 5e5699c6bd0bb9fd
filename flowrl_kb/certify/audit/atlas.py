"""The atlas: compact fingerprints of methods and cells, committed so that a fresh clone compares without computing.

An entry keeps the mean update and, block by block, three figures of the covariance of one replicate: tr V, tr V^2 and
the largest eigenvalue. It is found by a hash of everything that its fingerprint was made from, code included, so that
an entry made by other code is never used. It also names its program: where other code makes the same one, the entry is
kept under the new hash.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flowrl_kb.certify.audit.catalogue import Entry
from flowrl_kb.certify.fingerprint import Fingerprint
from flowrl_kb.certify.moments import Moments
from flowrl_kb.kb.load import KB

REPLICATES = 1024
"""Replicates of an entry that is computed for the atlas; remembered ones are kept with as many as they have."""


class Compact(NamedTuple):
    """Mean (S, B, M) of n replicates, and of one replicate's covariance V: tr V, tr V^2, largest eigenvalue (S, B).

    `program` is the identity of the fingerprint that it was taken from.
    """

    n: int
    mean: np.ndarray
    trace: np.ndarray
    square: np.ndarray
    top: np.ndarray
    program: str = ""


def compact(found: Moments, program: str = "") -> Compact:
    """The three figures of each block."""
    v = found.covariance
    trace = np.trace(v, axis1=-2, axis2=-1)
    return Compact(found.n, found.mean, trace, np.sum(v**2, axis=(-2, -1)), np.linalg.eigvalsh(v)[..., -1], program)


def identity(found: Fingerprint) -> str:
    """The hash of what a fingerprint was made from, code included: known without tracing it."""
    return found.link


def path(kb: KB) -> Path:
    return kb.root / "taxonomy" / "atlas.npz"


def read(file: Path) -> dict[str, Compact | None]:
    """Entries by identity; None for a cell that was tried and has no update (its parts do not fit together)."""
    if not file.exists():
        return {}
    found: dict[str, Compact | None] = {}
    with np.load(file) as stored:
        for name in stored["without"].tolist():
            found[name] = None
        for kind in stored["kinds"].tolist():
            fields = {field: stored[f"{kind}/{field}"] for field in ("n", "mean", "trace", "square", "top")}
            names, programs = stored[f"{kind}/identity"].tolist(), stored[f"{kind}/program"].tolist()
            for i, (name, program) in enumerate(zip(names, programs, strict=True)):
                rest = (fields[field][i].astype(np.float64) for field in ("mean", "trace", "square", "top"))
                found[name] = Compact(int(fields["n"][i]), *rest, program)
    return found


def write(file: Path, entries: dict[str, Compact | None]) -> None:
    """Write entries in one step, those of one shape together."""
    by_shape: dict[str, list[str]] = {}
    for name in sorted(entries):
        if entries[name] is not None:
            by_shape.setdefault("x".join(map(str, entries[name].mean.shape)), []).append(name)
    arrays = {"kinds": np.array(sorted(by_shape), dtype=str)}
    arrays["without"] = np.array(sorted(k for k, v in entries.items() if v is None), dtype="U64")
    for kind, names in by_shape.items():
        rows = [entries[name] for name in names]
        arrays[f"{kind}/identity"] = np.array(names)
        arrays[f"{kind}/program"] = np.array([row.program for row in rows], dtype="U64")
        arrays[f"{kind}/n"] = np.array([row.n for row in rows], np.int32)
        for field in ("mean", "trace", "square", "top"):
            arrays[f"{kind}/{field}"] = np.array([getattr(row, field) for row in rows], np.float32)
    temporary = file.with_name(f"{file.stem}.{os.getpid()}.npz")
    np.savez_compressed(temporary, **arrays)
    os.replace(temporary, file)


def remembered(entry: Entry, scenes: str) -> Compact | None:
    """The compact fingerprint that earlier runs on this machine left on disk, whatever its replicates."""
    made = entry.fingerprint(scenes)
    found = made.remembered()
    return compact(found, made.identity) if found else None


def renewed(entry: Entry, scenes: str, rows: Mapping[str, Compact]) -> Compact | None:
    """The row, by program, of the cell's fingerprint as the present code makes it."""
    try:
        return rows.get(entry.fingerprint(scenes).identity)
    except (AttributeError, TypeError, KeyError, ValueError):  # parts that do not fit; `computed` says why
        return None


def computed(entry: Entry, scenes: str, n: int = REPLICATES) -> Compact | str:
    """The compact fingerprint of a cell, or why it has none. Errors: whatever a method raises.

    Composing a cell checks names only; that its parts fit each other shows when it is traced.
    """
    try:
        made = entry.fingerprint(scenes)
        return compact(made.take(n), made.identity)
    except (AttributeError, TypeError, KeyError, ValueError, FloatingPointError) as error:
        if entry.node:
            raise
        return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
