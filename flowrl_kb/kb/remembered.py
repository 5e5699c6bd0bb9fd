"""The knowledge base as it was last read, kept in the user's cache, so that read commands need not parse it again.

Not beside the data: whoever hands you a folder of cards must not hand you a pickle.
"""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowrl_kb import __version__

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

CODE = Path(__file__).parents[1]
FOLDERS = 8
"""Data folders of which a copy is kept: those that were read last."""


def stamp(root: Path) -> tuple:
    """What the stored copy depends on: name, size and time of every data file and of this package's code.

    All of the code, because checks ask which losses, rules and witnesses it holds.
    """
    files = [*root.glob("methods/*"), *root.glob("taxonomy/**/*"), *CODE.glob("**/*.py")]
    found = sorted((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file())
    return (__version__, sys.version, tuple(found), str(root))


def _file(stamp: tuple) -> Path:
    """One file for each data folder and each copy of this package, so that two of them do not displace each other."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flowrl-kb"
    return folder / f"{hashlib.sha256(f'{stamp[-1]} {CODE}'.encode()).hexdigest()[:16]}.pickle"


def recall(now: tuple) -> KB | None:
    """The stored copy, if it was made from exactly these files; a copy that cannot be read counts as none."""
    collecting = gc.isenabled()
    gc.disable()  # none of the many objects that are made is garbage; looking for some takes a third of the time
    try:
        with _file(now).open("rb") as stream:
            if pickle.load(stream) == now:
                return pickle.load(stream)
    except (OSError, EOFError, AttributeError, ImportError, TypeError, ValueError, RuntimeError, pickle.PickleError):
        pass
    finally:
        if collecting:
            gc.enable()
    return None


def keep(then: tuple, kb: KB) -> None:
    """Store a knowledge base without problems, `then` being the stamp from before it was read.

    Nothing is stored where the folder cannot be written.
    """
    try:
        file = _file(then)
        partial = file.with_name(f"{file.name}.{os.getpid()}")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as stream:
                pickle.dump(then, stream, pickle.HIGHEST_PROTOCOL)
                pickle.dump(kb, stream, pickle.HIGHEST_PROTOCOL)
            partial.replace(file)
            for old in sorted(file.parent.glob("*.pickle"), key=lambda f: f.stat().st_mtime)[:-FOLDERS]:
                old.unlink(missing_ok=True)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, RuntimeError):  # no home folder is a RuntimeError
        return
