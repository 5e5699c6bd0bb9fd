"""The subprocess of `flowrl-kb audit`: loads the user's file, audits one function, writes the report as JSON.

Called as `python -m flowrl_kb.certify.audit.worker REQUEST RESULT`, both files of JSON.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType

from flowrl_kb.errors import UserError, unknown


def load_file(file: Path) -> ModuleType:
    """Execute a Python file as a module, with its own folder first on the path. Errors: UserError with its line."""
    sys.path.insert(0, str(file.parent.resolve()))
    name = f"audited_{file.stem}"  # not the stem itself: the user's jax.py must not take the place of jax
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file.resolve()]
        line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else 0
        message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())[:300]
        raise UserError(f"{file}:{line}: {type(error).__name__}: {message}") from None
    return module


def run(request: dict) -> str:
    """The report on one request, as JSON."""
    from flowrl_kb.certify.audit.core import audit
    from flowrl_kb.certify.doctor import require_sound_numerics

    module = load_file(Path(request["file"]))
    function = getattr(module, request["function"], None)
    if function is None:
        raise unknown(f"function of {request['file']}", request["function"], [n for n in vars(module) if n[0] != "_"])
    require_sound_numerics()
    say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    return audit(function, **request["options"], say=say, **request["set"]).json()


def main(request: str, result: str) -> int:
    """Write {"report": ...} or {"error": [lines]}; exit 130 where the user interrupts."""
    try:
        written = {"report": json.loads(run(json.loads(Path(request).read_text(encoding="utf-8"))))}
    except UserError as error:
        written = {"error": error.lines}
    except KeyboardInterrupt:
        return 130
    Path(result).write_text(json.dumps(written), encoding="utf-8")
    return 2 if "error" in written else 0


if __name__ == "__main__":
    sys.stdout = sys.stderr  # what the user's file prints must not mix with the report
    sys.exit(main(*sys.argv[1:]))
