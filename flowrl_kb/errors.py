"""Errors that a user can repair: where, what was found, what was expected, the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class UserError(Exception):
    """Wrong input; the command line prints `lines` without a traceback and leaves with `exit_code`."""

    exit_code = 2

    @property
    def lines(self) -> list[str]:
        return [str(self)]


class UnknownName(UserError):
    """An id, axis, value, level, task or hyper-parameter that does not exist."""


class QueryError(UserError):
    """A query that cannot be read, with the position of the offending word (from 0)."""

    def __init__(self, text: str, position: int, message: str):
        self.text, self.position, self.message = text, position, message
        super().__init__(f"query, column {position + 1}: {message}   in: {text}")


class MissingExtra(UserError):
    """An optional dependency that the command needs."""


@dataclass(frozen=True)
class Problem:
    """One defect of the data: file, line (from 1; 0 when the file as a whole is meant), place, message."""

    path: str
    line: int
    where: str
    message: str
    nearest: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        where = f" {self.where}:" if self.where else ""
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{place}:{where} {self.message}{hint}"


class DataError(UserError):
    """All defects found while loading the data, in file order."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = sorted(set(problems), key=lambda p: (p.path, p.line, p.where, p.message))
        super().__init__(f"{len(self.problems)} problem(s) in the data")

    @property
    def lines(self) -> list[str]:
        return [str(p) for p in self.problems]


class Contradiction(DataError):
    """Two facts about the same pair that cannot both hold."""


def nearest(name: str, options: Iterable[str], cutoff: float = 0.55) -> str | None:
    """Return the option most similar to `name`, or None when nothing is close."""
    by_lower = {option.lower(): option for option in options}
    found = get_close_matches(str(name).lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def unknown(kind: str, name: str, options: Iterable[str]) -> UnknownName:
    """Build the one-line error for a name that does not exist."""
    options = list(options)
    close = nearest(name, options)
    if close:
        hint = f"did you mean {close}?"
    else:
        shown = sorted(set(options))
        hint = "expected one of " + ", ".join(shown[:24]) + (", ..." if len(shown) > 24 else "")
    return UnknownName(f"unknown {kind} {name!r}; {hint}")
