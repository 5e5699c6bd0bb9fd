"""From names to functions: the part of an axis value, and its hyper-parameters."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from flowrl_kb.errors import UserError

Coordinates = Mapping[str, str]
Hyper = Mapping[str, Any]


def part(axis: str, value: str) -> Callable:
    """The function of an axis value: module and function carry the names of axis and value."""
    module = import_module(f"flowrl_kb.parts.{axis.replace('-', '_')}")
    name = value.replace("-", "_")
    function = getattr(module, name + "_" if keyword.iskeyword(name) else name, None)
    if function is None:
        raise UserError(f"cell: {axis}={value} has no executable part yet")
    return function


class MissingHyper(UserError):
    """A part needs the hyper-parameter `name`, which nobody gave."""

    def __init__(self, name: str, message: str):
        super().__init__(message)
        self.name = name


def bind(function: Callable, hyper: Hyper) -> Callable:
    """`function` with its keyword-only arguments taken from `hyper`; a required one that is missing is an error."""
    wanted = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        if name in hyper:
            wanted[name] = hyper[name]
        elif parameter.default is parameter.empty:
            raise MissingHyper(name, f"{function.__module__}.{function.__name__}: needs the hyper-parameter {name!r}")
    return partial(function, **wanted)
