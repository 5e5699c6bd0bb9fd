"""The meaning of a query: names resolved against the knowledge base, then a three-valued truth.

A coordinate that nobody has determined makes a condition `MAYBE`, never `NO`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, get_args

from flowrl_kb.errors import QueryError, UnknownName, nearest
from flowrl_kb.kb.grammar import Call, Comparison, Word, leaves, parse
from flowrl_kb.kb.levels import LEVELS
from flowrl_kb.kb.nodes import Node, allowed, distance
from flowrl_kb.kb.schema import SLOTS, UNKNOWN, Role
from flowrl_kb.kb.truth import MAYBE, NO, YES, Truth, compared, compared_years, compiled

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

DEFAULT_LEVEL = {"equiv": "same-target-field", "differs": "same-update"}
FIELDS = ("role", "year", "status")
WHOLE = "method"
"""The name, in queries and commands, of all slots together."""
PREDICATES = ("any", "id", "near", "equiv", "differs")


class Condition:
    """A query whose every name is known to exist."""

    def __init__(self, kb: KB, text: str):
        """Parse `text` and check its names; raise `QueryError` with column, expected and nearest name."""
        self.kb, self.text, self.query = kb, text, parse(text)
        for leaf in leaves(self.query):
            if isinstance(leaf, Comparison):
                self._check_comparison(leaf)
            else:
                self._check_call(leaf)
        fields = dict.fromkeys(leaf.field.text for leaf in leaves(self.query) if isinstance(leaf, Comparison))
        self.axes = tuple(field for field in fields if field in kb.axes)

    def of(self, node: Node) -> int:
        """Return YES, MAYBE or NO for a node."""
        return self._of(node)

    def at(self, coordinates: Mapping[str, str]) -> int:
        """Return the truth for bare coordinates; what is not a coordinate is MAYBE."""
        return self._at(coordinates)

    def calls(self, name: str) -> list[Call]:
        return [leaf for leaf in leaves(self.query) if isinstance(leaf, Call) and leaf.name.text == name]

    def names_a_variant(self) -> bool:
        return any(
            ":" in argument.text for leaf in leaves(self.query) if isinstance(leaf, Call) for argument in leaf.arguments
        )

    def level(self, call: Call) -> str:
        return next((value.text for key, value in call.named if key.text == "at"), DEFAULT_LEVEL[call.name.text])

    def slot(self, call: Call) -> str:
        return next((value.text for key, value in call.named if key.text == "slot"), "actor")

    # ---------------------------------------------------------------- names

    def _wrong(self, word: Word, kind: str, options: Iterable[str]) -> QueryError:
        options = list(options)
        close = nearest(word.text, options)
        hint = f"did you mean {close}?" if close else "expected one of " + ", ".join(options[:24])
        return QueryError(self.text, word.at, f"unknown {kind} {word.text!r}; {hint}")

    def _check_comparison(self, test: Comparison) -> None:
        field = test.field.text
        if field in self.kb.axes:
            axis = self.kb.axes[field]
            self._only_equality(test)
            for value in test.values:
                if value.text not in allowed(axis):
                    spoken = [v.id for v in axis.values if value.text.lower() in map(str.lower, v.synonyms)]
                    if spoken:
                        message = f"unknown value {value.text!r} of {field}; did you mean {spoken[0]}?"
                        raise QueryError(self.text, value.at, message)
                    raise self._wrong(value, f"value of {field}", allowed(axis))
        elif field.startswith("projection."):
            self._only_equality(test)
            self._check_projection(test)
        elif field == "year":
            for value in test.values:
                if not value.text.isdigit():
                    raise QueryError(self.text, value.at, f"found {value.text!r}, expected a year")
        elif field in FIELDS:
            self._only_equality(test)
            options = {"role": get_args(Role), "status": ("active", "deprecated")}[field]
            for value in test.values:
                if value.text not in options:
                    raise self._wrong(value, f"value of {field}", options)
        else:
            projections = [f"projection.{p.id}.{f}" for p in self.kb.projections.values() for f in p.functions]
            raise self._wrong(test.field, "axis or field", [*self.kb.axes, *FIELDS, *projections])

    def _only_equality(self, test: Comparison) -> None:
        if test.op not in ("=", "!="):
            raise QueryError(self.text, test.field.at, f"{test.field.text} can only be compared with = or !=")

    def _check_projection(self, test: Comparison) -> None:
        known = {f"projection.{p.id}.{f}": c for p in self.kb.projections.values() for f, c in p.functions.items()}
        if test.field.text not in known:
            raise self._wrong(test.field, "projection", known)
        options = [choice.value for choice in known[test.field.text]]
        for value in test.values:
            if value.text not in options:
                raise self._wrong(value, f"value of {test.field.text}", options)

    def _check_call(self, call: Call) -> None:
        name, arguments = call.name.text, call.arguments
        if name not in PREDICATES:
            raise self._wrong(call.name, "predicate", PREDICATES)
        counts = {"any": (0,), "id": (1,), "near": (2,), "equiv": (1,), "differs": (1, 2)}[name]
        if len(arguments) not in counts:
            wanted = " or ".join(map(str, counts))
            raise QueryError(self.text, call.name.at, f"{name} takes {wanted} argument(s), found {len(arguments)}")
        for method in arguments[:1] if name == "near" else arguments:
            try:
                self.kb.resolve(method.text)
            except UnknownName as error:
                raise QueryError(self.text, method.at, str(error)) from None
        if name == "near" and not arguments[1].text.isdigit():
            raise QueryError(self.text, arguments[1].at, f"found {arguments[1].text!r}, expected a number of axes")
        for key, value in call.named:
            options = {"at": LEVELS, "slot": (*SLOTS, WHOLE)} if name in ("equiv", "differs") else {}
            if key.text not in options:
                raise self._wrong(key, f"argument of {name}", options)
            if value.text not in options[key.text]:
                raise self._wrong(value, "level" if key.text == "at" else "slot", options[key.text])
        if self.slot(call) == WHOLE and self.level(call) == "limit":
            raise QueryError(self.text, call.name.at, "a limit relates updates, not whole methods")

    # ---------------------------------------------------------------- truth

    @cached_property
    def _of(self) -> Truth[Node]:
        return compiled(self.query, self._of_node)

    @cached_property
    def _at(self) -> Truth[Mapping[str, str]]:
        return compiled(self.query, self._of_coordinates)

    def _of_coordinates(self, leaf: Comparison | Call) -> Truth[Mapping[str, str]]:
        if isinstance(leaf, Comparison) and leaf.field.text in self.kb.axes:
            field, truth = leaf.field.text, compared(leaf)
            return lambda coordinates: truth(coordinates.get(field, UNKNOWN))
        known = YES if isinstance(leaf, Call) and leaf.name.text == "any" else MAYBE
        return lambda coordinates: known

    def _of_node(self, leaf: Comparison | Call) -> Truth[Node]:
        if isinstance(leaf, Call):
            call, predicate = leaf, getattr(self, f"_{leaf.name.text}")
            return lambda node: predicate(call, node)
        field = leaf.field.text
        if field == "year":
            years = compared_years(leaf)
            return lambda node: years(node.card.year)
        truth = compared(leaf)
        if field in self.kb.axes:
            return lambda node: truth(node[field])
        if field.startswith("projection."):
            from flowrl_kb.kb.project import place

            _, projection, function = field.split(".")
            return lambda node: truth(place(self.kb, projection, function, node))
        return lambda node: truth(getattr(node.card, field))

    def _any(self, call: Call, node: Node) -> int:
        return YES

    def _id(self, call: Call, node: Node) -> int:
        return YES if self.kb.resolve(call.arguments[0].text) is node else NO

    def _near(self, call: Call, node: Node) -> int:
        centre, radius = self.kb.resolve(call.arguments[0].text), int(call.arguments[1].text)
        surely, at_most = distance(centre, node, self.kb.mechanism)
        return NO if surely > radius else YES if at_most <= radius else MAYBE

    def _equiv(self, call: Call, node: Node) -> int:
        return self._same(self.kb.resolve(call.arguments[0].text), node, call)

    def _differs(self, call: Call, node: Node) -> int:
        ends = [self.kb.resolve(argument.text) for argument in call.arguments]
        if len(ends) == 2 and node not in ends:
            return NO
        other = ends[0] if len(ends) == 1 or node is ends[1] else ends[1]
        return YES - self._same(other, node, call)

    def _same(self, a: Node, b: Node, call: Call) -> int:
        """Return YES for a proof or certificate, NO for a refutation, else MAYBE."""
        from flowrl_kb.kb.relations import knowledge
        from flowrl_kb.kb.whole import whole

        level, slot, known = self.level(call), self.slot(call), knowledge(self.kb)
        if a is b:
            return YES
        if slot == WHOLE:
            return {"same": YES, "different": NO, "open": MAYBE}[whole(self.kb, a, b, level).state]
        if b.id in known.equal_to(a.id, level, slot):
            return YES
        return NO if known.refutation(a.id, b.id, level, slot) else MAYBE


@lru_cache(maxsize=4096)
def condition(kb: KB, text: str) -> Condition:
    """Return the condition of a text that stands in the data, parsed once for checking and for use."""
    return Condition(kb, text)
