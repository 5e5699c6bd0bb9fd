"""The query language: one grammar for the command line, Python, constraints and rules.

    query     = all { "|" all }          all  = single { "&" single }         single = "~" single | atom
    atom      = "(" query ")" | name "(" arguments ")" | name op value | name "in" "(" value { "," value } ")"
    op        = "=" | "!=" | "<" | "<=" | ">" | ">="
    arguments = [ value | name "=" value ] { "," ... }

This module knows syntax only; `evaluate` gives names their meaning.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from flowrl_kb.errors import QueryError

_TOKEN = re.compile(r"\s*(?:(?P<op>!=|>=|<=|[=<>&|~(),])|(?P<word>\w[\w.:+-]*)|(?P<bad>\S))")


class Word(NamedTuple):
    text: str
    at: int


class Comparison(NamedTuple):
    """`field op values`: a comparison of one field; several values mean `in`."""

    field: Word
    op: str
    values: tuple[Word, ...]


class Call(NamedTuple):
    """`name(arguments)`: a predicate with positional and named arguments."""

    name: Word
    arguments: tuple[Word, ...]
    named: tuple[tuple[Word, Word], ...]


class Not(NamedTuple):
    part: Query


class And(NamedTuple):
    parts: tuple[Query, ...]


class Or(NamedTuple):
    parts: tuple[Query, ...]


Query = Comparison | Call | Not | And | Or


def parse(text: str) -> Query:
    """Return the syntax tree of a query, or raise `QueryError` with the column of the first wrong word."""
    return _Parser(text).whole()


def leaves(query: Query) -> list[Comparison | Call]:
    """Return the tests and calls of a query from left to right."""
    if isinstance(query, (Comparison, Call)):
        return [query]
    parts = (query.part,) if isinstance(query, Not) else query.parts
    return [leaf for part in parts for leaf in leaves(part)]


class _Parser:
    def __init__(self, text: str):
        self.text, self.position = text, 0
        self.tokens: list[Word] = []
        at = 0
        while match := _TOKEN.match(text, at):
            kind = match.lastgroup or "op"
            if kind == "bad":
                raise QueryError(text, match.start(kind), f"unexpected character {match.group(kind)!r}")
            self.tokens.append(Word(match.group(kind), match.start(kind)))
            at = match.end()
        self.tokens.append(Word("", len(text.rstrip())))

    @property
    def next(self) -> Word:
        return self.tokens[self.position]

    def take(self) -> Word:
        token = self.next
        self.position += 1
        return token

    def accept(self, text: str) -> bool:
        if self.next.text == text:
            self.position += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.error(f"expected {text!r}")

    def error(self, message: str) -> QueryError:
        found = repr(self.next.text) if self.next.text else "the end of the query"
        return QueryError(self.text, self.next.at, f"{message}, found {found}")

    def word(self, what: str) -> Word:
        if not (self.next.text and re.match(r"\w", self.next.text)):
            raise self.error(f"expected {what}")
        return self.take()

    def whole(self) -> Query:
        query = self.either()
        if self.next.text:
            raise self.error("expected & or | between two conditions")
        return query

    def either(self) -> Query:
        parts = [self.all()]
        while self.accept("|"):
            parts.append(self.all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all(self) -> Query:
        parts = [self.single()]
        while self.accept("&"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def single(self) -> Query:
        if self.accept("~"):
            return Not(self.single())
        if self.accept("("):
            query = self.either()
            self.expect(")")
            return query
        name = self.word("an axis, a field or a predicate")
        if self.accept("("):
            return self.call(name)
        name = Word(name.text.replace("_", "-"), name.at)  # fields may be written as in Python
        if self.accept("in"):
            self.expect("(")
            values = [self.word("a value")]
            while self.accept(","):
                values.append(self.word("a value"))
            self.expect(")")
            return Comparison(name, "=", tuple(values))
        if self.next.text not in ("=", "!=", "<", "<=", ">", ">="):
            raise self.error(f"expected =, != or 'in (...)' after {name.text!r}")
        op = self.take().text
        return Comparison(name, op, (self.word("a value"),))

    def call(self, name: Word) -> Call:
        positional: list[Word] = []
        named: list[tuple[Word, Word]] = []
        while not self.accept(")"):
            if positional or named:
                self.expect(",")
            argument = self.word("an argument")
            if self.accept("="):
                named.append((argument, self.word("a value")))
            else:
                positional.append(argument)
        return Call(name, tuple(positional), tuple(named))
