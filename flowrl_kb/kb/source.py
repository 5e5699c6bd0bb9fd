"""Reading YAML strictly, with line numbers.

PyYAML follows YAML 1.1, where `no` is a boolean, `1e-3` is text, `010` is eight and `2402.06120` loses a
digit. Such scalars are reported instead of silently converted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flowrl_kb.errors import Problem

Loc = tuple[str | int, ...]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?\Z")
_BARE_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+\Z")


@dataclass
class Source:
    """One parsed file: its data, and for every place in it the line (from 1) and the scalar as written."""

    path: str
    data: Any = None
    marks: dict[Loc, tuple[int, str | None]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, loc: Loc = ()) -> int:
        """Return the line of a place, or of the closest enclosing place."""
        while loc and loc not in self.marks:
            loc = loc[:-1]
        return self.marks.get(loc, (0, None))[0]

    def written(self, loc: Loc) -> str | None:
        """Return the scalar at a place exactly as the author wrote it."""
        return self.marks.get(loc, (0, None))[1]

    def problem(self, loc: Loc, message: str, close: str | None = None) -> Problem:
        return Problem(self.path, self.line(loc), ".".join(map(str, loc)), message, close)


def read(path: Path, shown: str | None = None) -> Source:
    """Parse one YAML file; sequences become tuples; defects are collected in `problems`, never raised."""
    source = Source(shown or str(path))
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=LOADER)
    except (OSError, UnicodeDecodeError) as error:
        source.problems.append(Problem(source.path, 0, "", f"cannot be read as UTF-8 text ({error})"))
        return source
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line + 1 if mark else 0
        message = getattr(error, "problem", None) or str(error).splitlines()[0]
        if "\t" in (text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""):
            message += " (tabs cannot indent YAML; use spaces)"
        source.problems.append(Problem(source.path, line, "", f"not valid YAML: {message}"))
        return source
    if node is None:
        source.problems.append(Problem(source.path, 0, "", "found an empty file, expected YAML"))
        return source
    source.data = _construct(node, (), source)
    return source


def _construct(node: yaml.Node, loc: Loc, source: Source) -> Any:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        source.marks[loc] = (line, node.value)
        return _scalar(node, loc, source)
    source.marks[loc] = (line, None)
    if isinstance(node, yaml.SequenceNode):
        return tuple(_construct(child, (*loc, i), source) for i, child in enumerate(node.value))
    mapping: dict[str, Any] = {}
    for key_node, child in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None or not isinstance(key_node.tag, str) or key_node.tag not in (_TAG + "str",):
            source.marks[(*loc, str(key))] = (key_node.start_mark.line + 1, None)
            source.problems.append(
                source.problem((*loc, str(key)), f"found key {key!r}, expected a text key (quote it)")
            )
            continue
        here = (*loc, key)
        if key in mapping:
            first = source.line(here)
            source.marks[here] = (key_node.start_mark.line + 1, None)
            source.problems.append(source.problem(here, f"duplicate key (first on line {first})"))
            continue
        mapping[key] = _construct(child, here, source)
        source.marks[here] = (key_node.start_mark.line + 1, source.marks[here][1])
    return mapping


def _scalar(node: yaml.ScalarNode, loc: Loc, source: Source) -> Any:
    kind, text = node.tag.removeprefix(_TAG), node.value

    def reject(reads_as: str, write: str) -> str:
        source.problems.append(source.problem(loc, f"found {text}, which YAML reads as {reads_as}; {write}"))
        return text

    if kind == "str":
        if not node.style and _BARE_EXPONENT.match(text):
            mantissa, exponent = re.split("[eE]", text)
            mantissa += "" if "." in mantissa else ".0"
            sign = "" if exponent[0] in "+-" else "+"
            return reject("text", f"write {mantissa}e{sign}{exponent} for the number, or quote it")
        return text
    if kind == "null":
        return None
    if kind == "bool":
        return text == "true" if text in ("true", "false") else reject("a boolean", f"write '{text}' in quotes")
    if kind == "int":
        return int(text) if _INT.match(text) else reject("another number", "write it in decimal, or quote it")
    if kind == "float":
        return float(text) if _FLOAT.match(text) else reject("a special number", "write plain decimals, or quote it")
    if kind == "timestamp":
        return reject("a date", f"write '{text}' in quotes")
    return reject(f"the tag {node.tag}", "use plain scalars")
