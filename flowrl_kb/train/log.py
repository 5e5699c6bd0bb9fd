"""What a run folder records: config.json, metrics.jsonl and TensorBoard files."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("flowrl-kb", "jax", "jaxlib", "numpy", "optax", "gymnasium", "mujoco")


def versions() -> dict[str, str]:
    """Versions of Python and of every package that decides a run's numbers, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def revision() -> dict[str, Any]:
    """The git revision of the package's checkout and whether files were changed; empty for an installed package."""
    here = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    if not (here / ".git").exists():
        return {}
    try:
        return {"revision": git("rev-parse", "HEAD"), "changed_files": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def file_hash(path: Path) -> str | None:
    """SHA-256 of a file, or None where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """config.json: what was asked, with versions and revision."""
    text = json.dumps({**config, "versions": versions(), "git": revision()}, indent=1, default=_plain)
    (folder / "config.json").write_text(text + "\n")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


class Log:
    """Appends metrics to metrics.jsonl and to TensorBoard files in `folder`, after what was logged up to `step`.

    Lines beyond `step` are from a run that ended after its last checkpoint; they will be computed again.
    """

    def __init__(self, folder: Path, step: int = 0):
        from tensorboardX import SummaryWriter

        file = folder / "metrics.jsonl"
        if file.exists():
            kept = [line for line in file.read_text().splitlines() if json.loads(line)["step"] <= step]
            file.write_text("".join(line + "\n" for line in kept))
        self._lines = open(file, "a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """One line for a step; arrays over seeds are kept whole here and averaged on the board. NaN becomes null."""
        plain = {name: np.asarray(value, float).tolist() for name, value in metrics.items()}
        self._lines.write(json.dumps({"step": step, **_finite(plain)}) + "\n")
        self._lines.flush()
        for name, value in plain.items():
            mean = float(np.mean(value))
            if math.isfinite(mean):
                self._board.add_scalar(name, mean, step)

    def close(self) -> None:
        self._lines.close()
        self._board.close()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return value if math.isfinite(value) else None
