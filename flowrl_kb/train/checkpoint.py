"""Checkpoints: everything that the next chunk of a run depends on, written by Orbax.

Restored exactly: parameters, moving averages, optimizer states, random keys, replay memory, counters, and the state of
MuJoCo and classic-control simulators (see `tasks.gym`). Not restored: the state of other simulators, whose
environments are reset instead.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flowrl_kb.errors import UserError

FOLDER = "checkpoint"


def save(folder: Path, step: int, tree: Any) -> Path:
    """Write a checkpoint and then remove the one before it, so that an interrupted write loses nothing."""
    import orbax.checkpoint as ocp

    logging.getLogger("absl").setLevel(logging.ERROR)
    target = (folder / FOLDER / str(step)).resolve()
    if target.exists():
        return target
    with ocp.StandardCheckpointer() as writer:
        writer.save(target, jax.tree.map(_storable, tree))
    for other in target.parent.iterdir():
        if other != target:
            shutil.rmtree(other)
    return target


def latest(folder: Path) -> Path:
    """The newest complete checkpoint of a run folder. Errors: UserError where there is none."""
    found = [p for p in (folder / FOLDER).glob("*") if p.name.isdigit()]
    if not found:
        raise UserError(f"--resume {folder}: found no checkpoint there")
    return max(found, key=lambda p: int(p.name))


def restore(folder: Path, like: Any) -> tuple[int, Any]:
    """Step and tree of the newest checkpoint. Arguments: `like` a tree of the same structure (its values are not read).

    Errors: UserError where the stored tree does not fit `like` (the configuration was changed).
    """
    import orbax.checkpoint as ocp

    logging.getLogger("absl").setLevel(logging.ERROR)
    path = latest(folder).resolve()
    shapes = jax.tree.map(_storable, like)
    try:
        with ocp.StandardCheckpointer() as reader:
            stored = reader.restore(path, shapes)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"--resume {folder}: the checkpoint does not fit this configuration") from error
    return int(path.name), jax.tree.map(_original, stored, like)


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
