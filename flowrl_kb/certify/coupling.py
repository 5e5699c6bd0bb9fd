"""Couplings: two losses that give one update draw by draw, once their random numbers are matched.

Let u(w) and v(w) be updates computed from one batch and one stream w of independent random numbers. If u(w) = kappa
v(T w) for almost every w, where T reorders numbers of one law or takes their negatives, the losses are the same: T
keeps the law of w, and no average over w is involved. Not to be confused with `compare`, which asks whether the
averages agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, combinations, groupby, islice, permutations, product
from typing import NamedTuple

import jax
import numpy as np

from flowrl_kb.certify.compare import FLOOR
from flowrl_kb.certify.draws import Column, Drawing, Reading, read_at, readings
from flowrl_kb.certify.sites import Path
from flowrl_kb.parts.types import Key

MARGIN = 1e-3
"""Largest relative difference in any block; float32 leaves about 1e-6, and 1e-4 at the end of long chains."""
STREAMS = 8
"""Batches and streams of random numbers at which two updates are compared, in three scenarios each."""
TRIED = 128
"""Couplings that are tried before two losses are left to `compare`."""
FRESH = 1 << 20
"""Columns from this number on are read by no function in the order of execution."""
Order = dict[tuple[int, ...], list[Column]]
Readings = dict[Path, Reading]


class Coupled(NamedTuple):
    """Largest relative difference of updates p and kappa c, where it stands (scenario, block), and kappa."""

    residual: float
    where: tuple[int, int]
    scale: float


def difference(p: np.ndarray, c: np.ndarray) -> Coupled:
    """Compare updates (streams, S, B, M) at the same streams; blocks as in `compare`, up to one scale >= 0 for all."""
    p, c = np.asarray(p, np.float64), np.asarray(c, np.float64)
    square = np.mean(np.sum(p**2, -1), axis=0)
    reference = np.maximum(square, FLOOR**2 * square.max(axis=1, keepdims=True))
    if not (np.isfinite(p).all() and np.isfinite(c).all() and reference.all()):
        return Coupled(np.inf, (0, 0), np.nan)
    own = np.sum(c**2 / reference[..., None])
    scale = max(0.0, float(np.sum(p * c / reference[..., None]) / own)) if own else 0.0
    residual = np.sqrt(np.sum((p - scale * c) ** 2, -1) / reference).max(axis=0)
    scene, block = np.unravel_index(int(residual.argmax()), residual.shape)
    return Coupled(float(residual.max()), (int(scene), int(block)), scale)


def couplings(first: Drawing, second: Drawing) -> Iterator[tuple[Readings, Readings]]:
    """Pairs of readings of one stream, the likeliest first: in the order of execution, then reordered and mirrored."""
    ours, theirs = first.columns, second.columns
    for mirrored in _mirrored(theirs):
        for reordered in _repeated(theirs):
            for moved in _moved(reordered):
                yield readings(ours), readings(moved, mirrored)
    yield from ((readings(reordered), readings(theirs)) for reordered in _repeated(ours))


def _repeated(order: Order) -> Iterator[Order]:
    """The order of execution, and others of repetitions that are drawn side by side: these of several neighbouring
    parts one after the other, or with their axes exchanged."""
    yield order
    for shape, columns in order.items():
        parts = _parts(columns)
        for i, j in combinations(range(len(parts) + 1), 2):
            kept = (list(chain.from_iterable(some)) for some in (parts[:i], parts[i:j], parts[j:]))
            before, between, after = kept
            if (others := list(_one_by_one(between))) != between:
                yield {**order, shape: [*before, *others, *after]}
        exchanged = [c for _, drawn in _together(columns) for c in sorted(drawn, key=lambda c: c.number[::-1])]
        if exchanged != columns:
            yield {**order, shape: exchanged}


def _parts(columns: Sequence[Column]) -> list[list[Column]]:
    return [list(part) for _, part in groupby(columns, key=lambda column: column.path[0])]


def _together(columns: Sequence[Column]) -> Iterator[tuple[tuple, Iterator[Column]]]:
    return groupby(columns, key=lambda column: (column.path, column.round))


def _one_by_one(columns: Sequence[Column]) -> Iterator[Column]:
    for _, run in groupby([list(drawn) for _, drawn in _together(columns)], key=len):
        yield from (column for repetition in zip(*run, strict=True) for column in repetition)


def _moved(order: Order) -> Iterator[Order]:
    """All orders of the parts of a function that draw columns of one shape; of many parts, one moved at a time."""
    parts = {shape: _parts(columns) for shape, columns in order.items()}
    for chosen in product(*(list(_orders(len(found))) for found in parts.values())):
        yield {
            shape: [column for i in numbers for column in found[i]]
            for numbers, (shape, found) in zip(chosen, parts.items(), strict=True)
        }


def _orders(n: int) -> Iterator[tuple[int, ...]]:
    if n <= 4:
        return permutations(range(n))
    apart = ((i, [j for j in range(n) if j != i]) for i in range(n))
    moved = (tuple([*rest[:to], i, *rest[to:]]) for i, rest in apart for to in range(n))
    return iter(dict.fromkeys([tuple(range(n)), *moved]))


def _mirrored(order: Order) -> Iterator[tuple[Path, ...]]:
    paths = tuple(dict.fromkeys(column.path for columns in order.values() for column in columns))
    yield ()
    yield from ((path,) for path in paths)
    if len(paths) > 1:
        yield paths


Update = Callable[[Readings, Readings, Key, int], tuple[np.ndarray, np.ndarray]]
"""Both updates (S, B, M) of one stream; where the last argument is not zero, the second under a wrong presentation."""


def coupled(update: Update, first: Drawing, second: Drawing) -> tuple[Coupled, Coupled] | None:
    """The agreement under the first coupling that gives one update at all streams, and under a wrong presentation.

    None where no coupling does so, or where it does so under the wrong presentation too.
    """
    keys = jax.random.split(jax.random.key(0), STREAMS)
    for ours, theirs in islice(couplings(first, second), TRIED):
        if _agreement(update, (ours, theirs), keys[:1]).residual < MARGIN:
            result, control = (_agreement(update, (ours, theirs), keys, wrong) for wrong in (0, 1))
            if result.residual < MARGIN <= control.residual:
                return result, control
    return None


def _agreement(update: Update, read: tuple, keys: Key, wrong: int = 0) -> Coupled:
    sides = zip(*(update(*read, key, wrong) for key in keys), strict=True)
    return difference(*(np.stack(side) for side in sides))


def in_terms(update: Update, first: Drawing, second: Drawing) -> tuple[Coupled, Coupled] | None:
    """The agreement of averages where the second update is a sum of terms that draw anew what the first draws once.

    If v(x_1, ..., x_n) is a sum of functions of one x_i each, its average over independent x_i is that of v(x, ..., x),
    which is compared with u(x) draw by draw. It is such a sum if and only if v(x_1, ..., x_n) + (n - 1) v(y, ..., y) =
    sum_i v(y, .., x_i, .., y) for all x_i and y, which is tested at the same streams.
    """
    keys = jax.random.split(jax.random.key(0), STREAMS)
    ours = readings(first.columns)
    for n, read in islice(_ties(first, second), TRIED):
        together = read([0] * n)
        if _agreement(update, (ours, together), keys[:1]).residual < MARGIN:
            result, control = (_agreement(update, (ours, together), keys, wrong) for wrong in (0, 1))
            apart = _apart_from_a_sum(lambda *where: np.stack([update(ours, read(where), k, 0)[1] for k in keys]), n)  # noqa: B023
            worst = result._replace(residual=max(result.residual, apart))
            if worst.residual < MARGIN <= control.residual:
                return worst, control
    return None


def _apart_from_a_sum(v: Callable[..., np.ndarray], n: int) -> float:
    """How far v is from a sum of functions of one argument each; its arguments say which columns a copy reads."""
    y, x = [1] * n, range(2, n + 2)
    one_by_one = sum(v(*y[:i], x[i], *y[i + 1 :]) for i in range(n))
    return difference(v(*x) + (n - 1.0) * v(*y), one_by_one).residual


def _ties(first: Drawing, second: Drawing) -> Iterator[tuple[int, Callable[[Sequence[int]], Readings]]]:
    """How often the second function draws anew, and its readings where copy i reads the columns number `where[i]`.

    Number 0 are those of the first function; the columns of other numbers are read by nobody else.
    """
    counts = {shape: len(columns) for shape, columns in first.columns.items()}
    every = [column for columns in second.columns.values() for column in columns]
    for n, tie in _copies(counts, second.columns):
        once = {shape: [c for c in columns if tie.get(c, (c, 0))[0] == c] for shape, columns in second.columns.items()}
        for moved in _moved(once):
            place = {column: i for columns in moved.values() for i, column in enumerate(columns)}

            def read(where: Sequence[int], tie=tie, place=place) -> Readings:
                at = {c: (place[tie[c][0]] + FRESH * where[tie[c][1]] if c in tie else place[c]) for c in every}
                return read_at(at)

            yield n, read


Tie = dict[Column, tuple[Column, int]]
"""Columns that are copies of one: which one, and the number of the copy."""


def _copies(counts: Mapping[tuple[int, ...], int], order: Order) -> Iterator[tuple[int, Tie]]:
    """Ties that leave as many columns of each shape as are counted: halves of a shape, or the repetitions of a site."""
    more = {shape: columns for shape, columns in order.items() if len(columns) > counts.get(shape, 0) > 0}
    extra = {len(columns) - counts[shape] for shape, columns in more.items()}
    if more and all(len(columns) == 2 * counts[shape] for shape, columns in more.items()):
        halves = [(columns, len(columns) // 2) for columns in more.values()]
        yield 2, {c: (columns[i % half], i // half) for columns, half in halves for i, c in enumerate(columns)}
    if len(extra) == 1:
        n = extra.pop() + 1
        drawn = [[list(group) for _, group in _together(columns)] for columns in more.values()]
        sites = [[group for group in groups if len(group) == n and not group[0].round] for groups in drawn]
        for chosen in product(*sites):
            yield n, {c: (group[0], i) for group in chosen for i, c in enumerate(group)}
