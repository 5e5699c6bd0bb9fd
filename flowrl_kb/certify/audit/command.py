"""`flowrl-kb audit`: hold a loss, or the coordinates of a draft card, against the map. Never imports jax."""

from __future__ import annotations

import ast
import json as js
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from flowrl_kb.certify.audit import card as cards
from flowrl_kb.certify.audit.names import KINDS, table
from flowrl_kb.certify.audit.report import Report, lines
from flowrl_kb.errors import MissingExtra, UserError, unknown
from flowrl_kb.kb import terminal
from flowrl_kb.kb.load import load

PATHS, DATA = ("vp", "ve", "linear"), ("behaviour", "previous")


def audit(
    loss: Annotated[
        str | None, typer.Argument(metavar="FILE.py:FUNCTION", help="Your loss.", show_default=False)
    ] = None,
    policy: Annotated[str, typer.Option(help="What the loss trains: field, map, gaussian or deterministic.")] = "field",
    path: Annotated[str, typer.Option(help="Forward path of a field: vp, ve or linear.")] = "vp",
    data: Annotated[
        str | None,
        typer.Option(help="Law of the batch's actions: behaviour or previous. [default: what the loss reads]"),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Give a hyper-parameter its value.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    card_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a draft card with the coordinates found.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Audit the coordinates of a draft card instead; no code runs.")
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="List the parameter names that a loss may use.")] = False,
) -> None:
    """Find the methods and cells whose update your loss has. Your file is executed in a subprocess.

    The parameters of your function say what it receives, by name: eps_fn, q_fn, s, a, t, key, temperature, ...
    (`--names` lists them all), or models, batch, key as in `flowrl_kb/published/`. It returns a scalar.
    """
    if names:
        return terminal.table(("name", "what it receives", "policies"), table())
    if (loss is None) == (card is None):
        raise UserError("expected a loss FILE.py:FUNCTION or --card FILE (one of them)")
    if card is not None:
        kb = load()
        found = cards.placed(kb, cards.read(kb, card))
        return terminal.emit(found) if json else print(*cards.lines(found), sep="\n")
    for what, value, options in (("policy", policy, KINDS), ("path", path, PATHS), ("data", data or DATA[0], DATA)):
        if value not in options:
            raise unknown(what, value, options)
    file, function = _named(loss)
    if card_out is not None and (card_out.exists() or not card_out.absolute().parent.is_dir()):
        raise UserError(
            f"{card_out} {'exists' if card_out.exists() else 'is in no existing folder'}; nothing was written"
        )
    if find_spec("jax") is None:
        raise MissingExtra("audit needs jax: pip install 'flowrl-kb[run]'")
    print(f"executing {file} in a subprocess, then its function {function}()", file=sys.stderr, flush=True)
    options = {"policy": policy, "path": path, "data": data}
    report = _ask({"file": str(file), "function": function, "options": options, "set": dict(map(_setting, set_ or []))})
    if card_out is not None:
        card_out.write_text(report["card"], encoding="utf-8")
    print(js.dumps(report, indent=1, ensure_ascii=False) if json else "\n".join(lines(Report(**report))))
    if card_out is not None:
        print(f"wrote {card_out}: fill in what it does not know", file=sys.stderr)


def _named(loss: str) -> tuple[Path, str]:
    """File and function of FILE.py:FUNCTION, found without executing the file. Errors: UserError."""
    name, _, function = loss.rpartition(":") if ":" in loss else (loss, "", "loss")
    file = Path(name)
    if not file.is_file():
        raise UserError(f"found no file {file}, expected FILE.py:FUNCTION")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{file}:{getattr(error, 'lineno', 0)}: not Python: {getattr(error, 'msg', error)}") from None
    defined = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
    if function not in defined and "*" not in defined:
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        raise unknown(f"function of {file}", function, functions or sorted(defined))
    return file, function


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UserError(f"found --set {text}, expected NAME=VALUE")
    try:
        return name, js.loads(value)
    except ValueError:
        return name, value


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    """Run the worker and return its report. Errors: UserError with its one line; Exit 130 on an interrupt."""
    package = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "request.json"), Path(folder, "result.json")
        asked.write_text(js.dumps(request), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "flowrl_kb.certify.audit.worker", str(asked), str(answer)]
        worker = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
        try:
            code = worker.wait()
        except KeyboardInterrupt:
            worker.kill()  # it may be inside the compiler, where it would not listen
            worker.wait()
            print("interrupted; nothing was written", file=sys.stderr)
            raise typer.Exit(130) from None
        if not answer.exists():
            raise UserError(f"{request['file']}: the subprocess ended with code {code} and left no report")
        found = js.loads(answer.read_text(encoding="utf-8"))
    if "error" in found:
        raise UserError("; ".join(found["error"]))
    return found["report"]
