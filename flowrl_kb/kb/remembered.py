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
from typing import Any

from flowrl_kb import __version__

CODE = Path(__file__).parents[1]
COPIES = 256
"""Files that are kept: those that were written last."""


def stamp(root: Path) -> tuple:
    """What the stored copy depends on: name, size and time of every data file and of this package's code.

    All of the code, because checks ask which losses, rules and witnesses it holds.
    """
    files = [*root.glob("methods/*"), *root.glob("taxonomy/**/*"), *CODE.glob("**/*.py")]
    found = sorted((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file())
    return (__version__, sys.version, tuple(found), str(root))


def _file(stamp: tuple, name: str) -> Path:
    """One file for each data folder and each copy of this package, so that two of them do not displace each other.

    What is derived by `name` has its own, because few commands need it.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flowrl-kb"
    return folder / f"{hashlib.sha256(f'{stamp[-1]} {CODE} {name}'.encode()).hexdigest()[:16]}.pickle"


def recall(now: tuple, name: str = "") -> Any:
    """The stored copy of the knowledge base, or of what was derived from it by `name`, if exactly these files made it.

    A copy that cannot be read counts as none.
    """
    collecting = gc.isenabled()
    gc.disable()  # none of the many objects that are made is garbage; looking for some takes a third of the time
    try:
        with _file(now, name).open("rb") as stream:
            if pickle.load(stream) == now:
                return pickle.load(stream)
    except (OSError, EOFError, AttributeError, ImportError, TypeError, ValueError, RuntimeError, pickle.PickleError):
        pass
    finally:
        if collecting:
            gc.enable()
    return None


def keep(then: tuple, thing: Any, name: str = "") -> None:
    """Store a knowledge base without problems, or what was derived from it; `then` is its stamp from before reading.

    Nothing is stored where the folder cannot be written.
    """
    try:
        file = _file(then, name)
        partial = file.with_name(f"{file.name}.{os.getpid()}")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as stream:
                pickle.dump(then, stream, pickle.HIGHEST_PROTOCOL)
                pickle.dump(thing, stream, pickle.HIGHEST_PROTOCOL)
            partial.replace(file)
            for old in sorted(file.parent.glob("*.pickle"), key=lambda f: f.stat().st_mtime)[:-COPIES]:
                old.unlink(missing_ok=True)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, RuntimeError):  # no home folder is a RuntimeError
        return
