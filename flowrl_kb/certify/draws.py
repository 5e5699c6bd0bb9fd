"""Draws: where a traced function draws random bits, and the same function with bits from a given stream.

A stream is a set of columns, each one block of bits for all states of a batch. Two functions that read the same columns
see the same noise, whatever keys they were written to split (see `coupling`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal
from jax.extend.core.primitives import jit_p, random_bits_p
from jax.interpreters.partial_eval import dce_jaxpr

from flowrl_kb.certify.sites import Path, executed, inner_that_draws
from flowrl_kb.parts.types import Array, Key


class Column(NamedTuple):
    """One column: the site that reads it, in which round of the loops around it, and which of its repetitions there."""

    path: Path
    round: tuple[int, ...]
    number: tuple[int, ...]


class Reading(NamedTuple):
    """What a site reads: the numbers of its columns, (*loops, *repeated), and a mask; all ones complement their bits.

    The complement of uniform bits is uniform, and turns a normal draw into its negative.
    """

    columns: Array
    mask: Array


class Layout(NamedTuple):
    """How an array is made of columns: the axes that repeat them, the shape of one, the way back to its own axes."""

    repeated: tuple[int, ...]
    column: tuple[int, ...]
    back: tuple[int, ...]


def layout(shape: Sequence[int], states: int, dim: int) -> Layout:
    """A column is the axis of all states, with that of an action's `dim` coordinates if it is the last one.

    An array without an axis of states is one column.
    """
    if states not in shape:
        return Layout((), tuple(shape), tuple(range(len(shape))))
    at, last = list(shape).index(states), len(shape) - 1
    kept = [at, last] if last != at and shape[last] == dim else [at]
    order = [axis for axis in range(len(shape)) if axis not in kept] + kept
    sizes = [shape[axis] for axis in order]
    split = len(shape) - len(kept)
    return Layout(tuple(sizes[:split]), tuple(sizes[split:]), tuple(np.argsort(order).tolist()))


@dataclass(frozen=True)
class Drawing:
    """A traced function of flat arguments whose draws can be replaced.

    Arguments: `states` and `dim` are the numbers of states in a batch and of coordinates of an action.
    """

    program: ClosedJaxpr
    states: int
    dim: int

    @cached_property
    def _found(self) -> tuple[dict[tuple[int, ...], list[Column]], dict[Path, Path]]:
        """Columns by their shape in the order of execution; sites that draw with the key of an earlier one."""
        columns: dict[tuple[int, ...], list[Column]] = {}
        first: dict[tuple, tuple[Path, tuple[int, ...]]] = {}
        again: dict[Path, Path] = {}
        for path, round, shape, key in executed(self.program.jaxpr):
            earlier, as_shape = first.setdefault((key, round), (path, shape))
            if as_shape != shape:  # they share bits, which columns of two shapes do not
                raise NotImplementedError("one key drawn from in two shapes")
            if earlier != path:
                again[path] = earlier
                continue
            repeated, column, _ = layout(shape, self.states, self.dim)
            columns.setdefault(column, []).extend(Column(path, round, number) for number in np.ndindex(*repeated))
        return columns, again

    @property
    def columns(self) -> dict[tuple[int, ...], list[Column]]:
        """The columns that are read, by their shape, in the order of execution.

        Errors: NotImplementedError for draws under a condition, in a loop of unknown length, or in two shapes from
        one key.
        """
        return self._found[0]

    def __call__(self, readings: Mapping[Path, Reading], stream: Key, *args: Array) -> list[Array]:
        """The function's results where each site reads its columns of the stream."""
        _, again = self._found

        def bits(path: Path, round: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
            repeated, column, back = layout(shape, self.states, self.dim)
            numbers, mask = readings[again.get(path, path)]
            of_shape = jax.random.fold_in(stream, crc32(repr(column).encode()))  # no two shapes share bits
            keys = jax.vmap(partial(jax.random.fold_in, of_shape))(jnp.asarray(numbers)[round].reshape(-1))
            drawn = jax.vmap(lambda key: jax.random.bits(key, column, jnp.uint32))(keys)
            return jnp.transpose(drawn.reshape(*repeated, *column), back) ^ mask

        return _run(self.program, args, bits, (), ())


def traced(function: Callable, *args: object, states: int, dim: int) -> Drawing:
    """Trace a function of pytrees; what its results do not need is left out."""
    flat, tree = jax.tree.flatten(args)
    program = jax.make_jaxpr(lambda *flat: function(*jax.tree.unflatten(tree, flat)))(*flat)
    needed = dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars), instantiate=True)[0]
    return Drawing(ClosedJaxpr(needed, program.consts), states, dim)


def readings(order: Mapping[tuple[int, ...], Sequence[Column]], mirrored: Collection[Path] = ()) -> dict[Path, Reading]:
    """What each site reads where the columns of each shape come off the stream in this order."""
    places = {column: place for columns in order.values() for place, column in enumerate(columns)}
    return read_at(places, mirrored)


def read_at(places: Mapping[Column, int], mirrored: Collection[Path] = ()) -> dict[Path, Reading]:
    """What each site reads where every column has the given place in the stream."""
    found: dict[Path, dict[tuple[int, ...], int]] = {}
    for column, place in places.items():
        found.setdefault(column.path, {})[*column.round, *column.number] = place
    return {path: Reading(_table(at), np.uint32(-(path in mirrored) % 2**32)) for path, at in found.items()}


def _table(entries: Mapping[tuple[int, ...], int]) -> np.ndarray:
    table = np.zeros(np.max(np.array(list(entries), int), axis=0) + 1, np.int32)
    for at, entry in entries.items():
        table[at] = entry
    return table


def _run(
    program: ClosedJaxpr, args: Sequence[Array], bits: Callable, path: Path, round: tuple[Array, ...]
) -> list[Array]:
    """Evaluate a program; equations that draw are opened, all others are left as they are."""
    jaxpr = program.jaxpr
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*program.consts, *args), strict=True))

    def value(of):
        return of.val if isinstance(of, Literal) else known[of]

    for number, equation in enumerate(jaxpr.eqns):
        here, given = (*path, number), [value(one) for one in equation.invars]
        if equation.primitive is random_bits_p:
            results = [bits(here, round, equation.outvars[0].aval.shape)]
        elif inner_that_draws(equation) is None:
            results = equation.primitive.bind(*given, **equation.primitive.get_bind_params(equation.params))
            results = results if equation.primitive.multiple_results else [results]
        elif equation.primitive is jit_p:
            results = _run(equation.params["jaxpr"], given, bits, here, round)
        else:
            results = _scan(equation.params, given, bits, here, round)
        known.update(zip(equation.outvars, results, strict=True))
    return [value(one) for one in jaxpr.outvars]


def _scan(params: Mapping, given: list[Array], bits: Callable, path: Path, round: tuple[Array, ...]) -> list[Array]:
    """A loop with its round carried along, which tells its sites what to read."""
    fixed, carried = params["num_consts"], params["num_carry"]

    def body(carry: list[Array], x: tuple[Array, list[Array]]) -> tuple[list[Array], list[Array]]:
        results = _run(params["jaxpr"], [*given[:fixed], *carry, *x[1]], bits, path, (*round, x[0]))
        return results[:carried], results[carried:]

    rounds, kept = jnp.arange(params["length"]), {k: params[k] for k in ("length", "reverse", "unroll")}
    carry, ys = jax.lax.scan(body, given[fixed : fixed + carried], (rounds, given[fixed + carried :]), **kept)
    return [*carry, *ys]
