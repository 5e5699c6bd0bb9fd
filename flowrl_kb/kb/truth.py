"""Three-valued truth: a query becomes a function once, because rules and constraints are asked of every cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flowrl_kb.kb.grammar import And, Call, Comparison, Not, Or, Query
from flowrl_kb.kb.schema import UNKNOWN

NO, MAYBE, YES = 0, 1, 2
Thing = TypeVar("Thing")
Truth = Callable[[Thing], int]


def compiled(query: Query, leaf: Callable[[Comparison | Call], Truth[Thing]]) -> Truth[Thing]:
    """Return the truth of a query as a function of what it is asked about; `leaf` gives that of its tests and calls."""
    if isinstance(query, Not):
        part = compiled(query.part, leaf)
        return lambda thing: YES - part(thing)
    if isinstance(query, (And, Or)):
        decisive, combine = (NO, min) if isinstance(query, And) else (YES, max)
        return _combined([compiled(part, leaf) for part in query.parts], decisive, combine)
    return leaf(query)


def _combined(parts: list[Truth[Thing]], decisive: int, combine: Callable[[int, int], int]) -> Truth[Thing]:
    def truth(thing: Thing) -> int:
        found = YES - decisive
        for part in parts:
            found = combine(found, part(thing))
            if found == decisive:
                break  # rules are long conjunctions
        return found

    return truth


def compared(test: Comparison) -> Callable[[str], int]:
    """Return the truth of a comparison as a function of the value that is found; an unknown value decides nothing."""
    wanted = frozenset(value.text for value in test.values)
    inside, outside = (NO, YES) if test.op == "!=" else (YES, NO)
    return lambda found: inside if found in wanted else MAYBE if found == UNKNOWN else outside


def compared_years(test: Comparison) -> Callable[[int], int]:
    """Return the truth of a comparison as a function of a year."""
    years = [int(value.text) for value in test.values]
    holds: Callable[[int], bool] = {
        "=": lambda year: year in years,
        "!=": lambda year: year not in years,
        "<": lambda year: year < years[0],
        "<=": lambda year: year <= years[0],
        ">": lambda year: year > years[0],
        ">=": lambda year: year >= years[0],
    }[test.op]
    return lambda year: YES if holds(year) else NO
