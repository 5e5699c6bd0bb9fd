"""Python source as data: functions found by `ast`, so that code can be shown, or asked for, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Collection
from functools import lru_cache
from keyword import iskeyword
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from flowrl_kb.errors import UserError

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB
    from flowrl_kb.kb.nodes import Node

PACKAGE = Path(__file__).resolve().parents[1]
_PARSING = Lock()
"""Python 3.11 counts the depth of a syntax tree for all threads together and fails where two parse at once."""


class Function(NamedTuple):
    line: int
    source: str


def _parsed(text: str) -> ast.Module:
    with _PARSING:
        return ast.parse(text)


@lru_cache(maxsize=512)
def functions(module_file: str | Path) -> dict[str, Function]:
    """Return the top-level functions of a module by name, with decorators; empty without a file."""
    path = Path(module_file)
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = {}
    for item in _parsed(text).body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([item.lineno, *(decorator.lineno for decorator in item.decorator_list)])
            found[item.name] = Function(first, "\n".join(lines[first - 1 : item.end_lineno]))
    return found


def identifier(name: str) -> str:
    """Return the Python name of an id: `-` becomes `_`, and a keyword gets a trailing `_`."""
    name = name.replace("-", "_")
    return name + "_" if iskeyword(name) else name


def part(axis: str, value: str) -> Function | None:
    """Return the function that executes one value of an axis, or None when it has no part of its own."""
    return functions(PACKAGE / "parts" / f"{axis.replace('-', '_')}.py").get(identifier(value))


def module(id: str) -> str:
    """Return the name of the module of a method's losses, or of a variant's own: `qsm`, `qsm_flow_rl`."""
    return id.replace("-", "_").replace(":", "_")


def borrowed(id: str) -> list[str]:
    """Return the modules from which a file of published losses imports: its card's, or that of an earlier version."""
    path = PACKAGE / "published" / f"{module(id)}.py"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    names = [item.module for item in _parsed(text).body if isinstance(item, ast.ImportFrom) and item.module]
    return [name.rpartition(".")[2] for name in names if name.startswith("flowrl_kb.published.")]


def published(id: str) -> dict[str, Function]:
    """Return the published losses of a method, or a variant's own, as functions of its file."""
    return functions(PACKAGE / "published" / f"{module(id)}.py")


def executable(kb: KB, names: Collection[str] = (), variants: bool = False) -> list[Node]:
    """Return the named methods or variants; without names all methods, or nodes, that have published losses.

    Errors: UserError for an unknown name, or one of a card that has no published losses.
    """
    if not names:
        return [node for node in kb.nodes.values() if (variants or not node.variant) and published(node.id)]
    nodes = [kb.resolve(name) for name in names]
    for node in nodes:
        if not published(node.card.id):
            raise UserError(f"{node.id}: its card has no published losses, so that there is nothing to execute")
    return nodes
