"""`flowrl-kb certify --atlas`: compute the atlas, methods first, then cells in the order of their distance."""

from __future__ import annotations

import time
from collections.abc import Iterator

import jax

from flowrl_kb.certify.audit import atlas
from flowrl_kb.certify.audit.catalogue import Entry, cells, methods, neighbours
from flowrl_kb.kb.load import KB

KINDS = ("field", "map", "gaussian", "deterministic")


def wanted(kb: KB) -> Iterator[tuple[Entry, str]]:
    """What the atlas should hold, most useful first: methods in both scenes, then cells in the drifted scenes.

    At the previous policy only methods and the cells that read it are kept.
    """
    held = {kind: list(methods(kb, kind)) for kind in KINDS}
    yield from ((entry, "drifted") for kind in KINDS for entry in held[kind])
    near = {kind: list(neighbours(kb, kind)) for kind in KINDS}
    yield from ((entry, "drifted") for kind in KINDS for entry in near[kind])
    yield from ((entry, "at-old") for kind in KINDS for entry in held[kind])
    for kind in KINDS:
        found = cells(kb, kind)
        yield from ((entry, "drifted") for entry in found[len(near[kind]) :])
        yield from ((entry, "at-old") for entry in found if entry.cell["route"] == "likelihood-ratio")


def build(kb: KB, seconds: float = float("inf"), write: bool = False) -> str:
    """Compute what is missing until the time is used up; return how many entries the atlas holds."""
    began, file = time.perf_counter(), atlas.path(kb)
    stored, kept = atlas.read(file), {}
    by_program = {row.program: row for row in stored.values() if row}
    missing = late = 0
    for entry, scenes in wanted(kb):
        name = atlas.identity(entry.fingerprint(scenes))
        found = atlas.remembered(entry, scenes)
        if found and (stored.get(name) is None or stored[name].n < found.n):
            stored[name] = found
        if name not in stored and (same := atlas.renewed(entry, scenes, by_program)):
            stored[name] = same
        if name not in stored:
            if time.perf_counter() - began > seconds:
                missing += 1
                continue
            made = atlas.computed(entry, scenes)
            jax.clear_caches()
            late += 1
            stored[name], why = (None, f", left out: {made}") if isinstance(made, str) else (made, "")
            print(f"{time.perf_counter() - began:5.0f} s  {scenes:8}{entry.name or 'cell'}{why}", flush=True)
        kept[name] = stored[name]
        if write and late % 10 == 9:
            atlas.write(file, {**stored, **kept})
    if write:
        atlas.write(file, kept)
    without = sum(row is None for row in kept.values())
    return f"atlas: {len(kept) - without} updates, {without} cells whose parts do not fit, {missing} not computed"
