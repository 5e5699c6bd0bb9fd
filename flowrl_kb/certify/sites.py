"""Sites: where a traced program draws random bits, in the order of execution, and which draws have one key."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from itertools import chain

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jax.extend.core.primitives import jit_p, random_bits_p, scan_p

Path = tuple[int, ...]
"""Where an equation stands: its number in the program, then in the program inside that equation, and so on."""
Draw = tuple[Path, tuple[int, ...], tuple[int, ...], int]
"""Where, in which round, of which shape, and the number of the key."""


def inner_that_draws(equation: JaxprEqn) -> Jaxpr | None:
    """The program inside an equation, if it draws."""
    parts = chain.from_iterable(p if isinstance(p, tuple | list) else (p,) for p in equation.params.values())
    programs = (p.jaxpr if isinstance(p, ClosedJaxpr) else p for p in parts if isinstance(p, ClosedJaxpr | Jaxpr))
    return next((p for p in programs if _draws(p)), None)


def _draws(program: Jaxpr) -> bool:
    return any(e.primitive is random_bits_p or inner_that_draws(e) is not None for e in program.eqns)


class Numbers:
    """Numbers of values: equal ones for one function of equal values, so that equal keys are recognised."""

    def __init__(self):
        self._of: dict[tuple, int] = {}

    def of(self, *made: Hashable) -> int:
        return self._of.setdefault(made, len(self._of))

    def fresh(self) -> int:
        return self.of("fresh", len(self._of))

    def results(self, equation: JaxprEqn, given: Sequence[int]) -> list[int]:
        programs = (Jaxpr, ClosedJaxpr)
        params = tuple(sorted((k, id(v) if isinstance(v, programs) else str(v)) for k, v in equation.params.items()))
        return [self.of(equation.primitive.name, params, *given, i) for i in range(len(equation.outvars))]


def executed(
    program: Jaxpr,
    path: Path = (),
    round: tuple[int, ...] = (),
    numbers: Numbers | None = None,
    given: Sequence[int] | None = None,
) -> Generator[Draw, None, list[int]]:
    """Every draw in its turn; returns the numbers of the program's results.

    Errors: NotImplementedError for draws under a condition, in a loop of unknown length, or not of 32 bits.
    """
    numbers = numbers or Numbers()
    of = {v: numbers.fresh() for v in (*program.constvars, *program.invars)}
    of.update(zip(program.invars, given or (), strict=False))

    def number(atom) -> int:
        return numbers.of("literal", str(atom.val), str(atom.aval)) if isinstance(atom, Literal) else of[atom]

    for place, equation in enumerate(program.eqns):
        here, ins = (*path, place), [number(v) for v in equation.invars]
        if equation.primitive is random_bits_p:
            if equation.params["bit_width"] != 32:
                raise NotImplementedError(f"draws of {equation.params['bit_width']} bits")
            yield here, round, equation.outvars[0].aval.shape, ins[0]
            outs = numbers.results(equation, ins)
        elif (inner := inner_that_draws(equation)) is None:
            outs = numbers.results(equation, ins)
        elif equation.primitive is scan_p:
            rounds, fixed = range(equation.params["length"]), ins[: equation.params["num_consts"]]
            for i in reversed(rounds) if equation.params["reverse"] else rounds:
                yield from executed(inner, here, (*round, i), numbers, fixed)
            outs = [numbers.fresh() for _ in equation.outvars]
        elif equation.primitive is jit_p:
            outs = yield from executed(inner, here, round, numbers, ins)
        else:
            raise NotImplementedError(f"draws inside {equation.primitive}")
        of.update(zip(equation.outvars, outs, strict=True))
    return [number(v) for v in program.outvars]
