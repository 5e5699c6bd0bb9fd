"""Validation errors of the data models as one line each: found, expected, nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowrl_kb.errors import Problem, nearest
from flowrl_kb.kb.schema import Model
from flowrl_kb.kb.source import Loc, Source


def explain(model: type[Model], source: Source, base: Loc, detail: Any) -> Problem:
    """Turn a pydantic error into one line: found, expected, nearest."""
    kind, found = detail["type"], detail.get("input")
    loc: Loc = (*base, *detail["loc"])
    while len(loc) > len(base) and loc not in source.marks and kind != "missing":
        loc = loc[:-1]  # pydantic appends the name of the union member that failed
    written = source.written(loc)
    shown = written if written else _shape(found)
    if kind == "extra_forbidden":
        options = _keys(model, detail["loc"][:-1])
        key = str(loc[-1])
        return source.problem(loc, f"unknown key {key!r}, expected one of {', '.join(options)}", nearest(key, options))
    if kind == "missing":
        return source.problem(loc, f"missing key {str(loc[-1])!r}")
    if kind == "string_type" and isinstance(found, (int, float)):
        return source.problem(loc, f"found the number {shown}, expected text; write '{shown}' in quotes")
    if kind == "literal_error":
        options = [o.strip("' ") for o in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return source.problem(loc, f"found {shown}, expected one of {', '.join(options)}", nearest(str(shown), options))
    if kind == "string_pattern_mismatch":
        return source.problem(loc, f"found {shown}, expected the form {detail['ctx']['pattern']}")
    if kind == "value_error":
        return source.problem(loc, str(detail["ctx"]["error"]))
    return source.problem(loc, f"found {shown}, {detail['msg'][0].lower()}{detail['msg'][1:]}")


def _shape(found: Any) -> str:
    return {dict: "a mapping", tuple: "a list", type(None): "nothing"}.get(type(found), repr(found))


def _keys(model: type[Model], path: Iterable[str | int]) -> list[str]:
    """Return the keys allowed at a place of a model, following the annotations."""
    current: Any = model
    for part in path:
        if isinstance(current, type) and issubclass(current, Model):
            fields = {(f.alias or n): f for n, f in current.model_fields.items()}
            current = _inner(fields[str(part)].annotation) if part in fields else None
    return [(f.alias or n) for n, f in current.model_fields.items()] if current else []


def _inner(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    found = (_inner(a) for a in getattr(annotation, "__args__", ()))
    return next((f for f in found if f is not None), None)
