"""Checkpoints: everything that the next chunk of a run depends on, written by Orbax.

Restored exactly: parameters, moving averages, optimizer states, random keys, replay memory, counters, and the state of
MuJoCo and classic-control simulators (see `tasks.gym`). Not restored: the state of other simulators, whose
environments are reset instead.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flowrl_kb.errors import UserError

FOLDER = "checkpoint"


def save(folder: Path, step: int, tree: Any) -> Path:
    """Write a checkpoint and then remove the one before it, so that an interrupted write loses nothing."""
    target = (folder / FOLDER / str(step)).resolve()
    if target.exists():
        return target
    flat = {f"{i:05d}": _storable(x) for i, x in enumerate(jax.tree.leaves(tree))}
    flat["names"] = np.frombuffer("\n".join(_names(tree)).encode(), np.uint8)
    with _writer() as writer:
        writer.save(target, flat)
    for other in target.parent.iterdir():
        if other != target:
            shutil.rmtree(other)
    return target


def _writer() -> Any:
    import orbax.checkpoint as ocp

    logging.getLogger("absl").setLevel(logging.ERROR)
    return ocp.StandardCheckpointer()


def _names(tree: Any) -> list[str]:
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]


def latest(folder: Path) -> Path:
    """The newest complete checkpoint of a run folder. Errors: UserError where there is none."""
    found = [p for p in (folder / FOLDER).glob("*") if p.name.isdigit()]
    if not found:
        raise UserError(f"--resume {folder}: found no checkpoint there")
    return max(found, key=lambda p: int(p.name))


def restore(folder: Path, like: Any) -> tuple[int, Any]:
    """Step and tree of the newest checkpoint. Arguments: `like` a tree with the same parts, of any shapes.

    Errors: UserError where the stored tree has other parts than `like` (the code or the card was changed).
    """
    path = latest(folder).resolve()
    with _writer() as reader, warnings.catch_warnings():
        # Orbax warns that arrays come back on the present device, which is meant.
        warnings.simplefilter("ignore")
        flat = reader.restore(path)
    stored = np.asarray(flat.pop("names")).tobytes().decode().split("\n")
    odd = set(stored) ^ set(_names(like))
    if odd:
        raise UserError(f"--resume {folder}: the checkpoint does not fit this method ({sorted(odd)[0]} differs)")
    leaves = [_original(flat[f"{i:05d}"], x) for i, x in enumerate(jax.tree.leaves(like))]
    return int(path.name), jax.tree.unflatten(jax.tree.structure(like), leaves)


def _is_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _storable(x: Any) -> Any:
    return np.asarray(jax.random.key_data(x)) if _is_key(x) else np.asarray(x)


def _original(stored: Any, like: Any) -> Any:
    if _is_key(like):
        return jax.random.wrap_key_data(np.asarray(stored))
    return jax.numpy.asarray(stored) if isinstance(like, jax.Array) else np.asarray(stored)


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a run folder. Errors: UserError where it is missing or unreadable."""
    try:
        return json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        raise UserError(f"--resume {folder}: found no config.json there, expected a run folder") from None
    except json.JSONDecodeError as error:
        raise UserError(f"--resume {folder}: config.json line {error.lineno}: {error.msg}") from None
