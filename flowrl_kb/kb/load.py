"""The knowledge base: from its stored copy where no file has changed since, else from its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowrl_kb.errors import DataError, Problem, unknown
from flowrl_kb.kb import ROOT, remembered
from flowrl_kb.kb.nodes import Node, of_card

if TYPE_CHECKING:
    from flowrl_kb.kb.query import Answer
    from flowrl_kb.kb.relate import Relation
    from flowrl_kb.kb.schema import Axis, Card, Constraint, Projection, Term
    from flowrl_kb.kb.source import Loc, Source
    from flowrl_kb.kb.statements import Arrow, OpenReason, Rule, Witness
    from flowrl_kb.kb.verdicts import Verdicts


APART = ("verdicts", "sources")
"""Large parts that many answers do without: they are stored apart and read when they are asked for."""
DRAWN_WITH = ("policy", "path", "sampler")
"""Conditional axes of the actor on which the law of next actions, and of roll-outs, depends as well."""


def _no_verdicts() -> Verdicts:
    from flowrl_kb.kb.verdicts import Verdicts

    return Verdicts()


@dataclass(eq=False)
class KB:
    """Axes, constraints, rules, witnesses, cards, verdicts and the like; all else is derived from them."""

    root: Path
    axes: dict[str, Axis] = field(default_factory=dict)
    constraints: dict[str, Constraint] = field(default_factory=dict)
    terms: dict[str, Term] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    projections: dict[str, Projection] = field(default_factory=dict)
    arrows: dict[str, Arrow] = field(default_factory=dict)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    reasons: dict[str, OpenReason] = field(default_factory=dict)
    cards: dict[str, Card] = field(default_factory=dict)
    verdicts: Verdicts = field(default_factory=_no_verdicts)
    warnings: list[Problem] = field(default_factory=list)
    sources: dict[tuple[str, str], tuple[Source, Loc]] = field(default_factory=dict)
    broken: set[tuple[str, str]] = field(default_factory=set)
    _derived: dict[str, Any] = field(default_factory=dict, init=False)
    # What the files were when this was read; a changed copy (`dataclasses.replace`) has none and is never stored.
    _stamp: tuple | None = field(default=None, init=False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in APART}

    def __getattr__(self, name: str) -> Any:
        """Read a part that is stored apart; from the files where its copy is gone."""
        if name not in APART:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        found = None if self._stamp is None else remembered.recall(self._stamp, name)
        if found is None:
            from flowrl_kb.kb.files import attempt

            found = getattr(attempt(self.root)[0], name)
        setattr(self, name, found)
        return found

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Methods and variants by id (`dql`, `dql:core`)."""
        return {node.id: node for card in self.cards.values() for node in of_card(card, self.axes)}

    @cached_property
    def mechanism(self) -> tuple[Axis, ...]:
        """Mechanism axes of all slots."""
        return tuple(axis for axis in self.axes.values() if axis.kind == "mechanism")

    @cached_property
    def actor_axes(self) -> tuple[Axis, ...]:
        """Mechanism axes of the actor slot: those that span a cell."""
        return tuple(axis for axis in self.mechanism if axis.slot == "actor")

    def axes_of(self, slot: str) -> tuple[str, ...]:
        """The mechanism axes that describe a slot; a trained object beside actor and critics has none."""
        return tuple(axis.id for axis in self.mechanism if axis.describes(slot))

    def conditional_of(self, slot: str) -> tuple[Axis, ...]:
        """The conditional axes that can matter to the update of a slot; acting rules are compared without any.

        Critics and state values also depend on what next actions and roll-outs are drawn with.
        """
        if slot == "acting":
            return ()
        also = () if slot == "actor" else DRAWN_WITH
        return tuple(
            axis
            for axis in self.axes.values()
            if axis.kind == "conditional" and (axis.describes(slot) or axis.id in also)
        )

    @cached_property
    def stale(self) -> frozenset[str]:
        """Methods whose card has changed since their certificates were made."""
        from flowrl_kb.kb.verdicts import stale

        return frozenset(stale(self.verdicts, self.cards))

    @cached_property
    def _names(self) -> dict[str, str]:
        names = {}
        for card in self.cards.values():
            for alias in (card.id, card.name, *card.aliases):
                names.setdefault(alias.lower(), card.id)
        return names

    def resolve(self, name: str, others: Iterable[str] = ()) -> Node:
        """Return the node of an id, name, alias or `method:variant` in any case, or raise `UnknownName`.

        `others` are further names that the caller accepts, offered when `name` is misspelt.
        """
        base, colon, variant = name.strip().partition(":")
        id = self._names.get(base.lower())
        if id is None:
            raise unknown("method", name, [*self._names, *self.nodes, *others])
        node = self.nodes.get(f"{id}:{variant.lower()}" if colon else id)
        if node is None:
            options = [n for n in self.nodes if n.startswith(f"{id}:")]
            raise unknown("variant", name, options or [id])
        return node

    def place(self, kind: str, id: str, *loc: str | int) -> tuple[str, int]:
        """Return file and line where an object (or a key inside it) is written."""
        source, base = self.sources[kind, id]
        return source.path, source.line((*base, *loc))

    def derived(self, name: str, make: Callable[[KB], Any]) -> Any:
        """Return what `make` derives from this knowledge base; it is made once and stored with it."""
        if name not in self._derived:
            stored = None if self._stamp is None else remembered.recall(self._stamp, name)
            self._derived[name] = make(self) if stored is None else stored
            if self._stamp is not None and stored is None:
                remembered.keep(self._stamp, self._derived[name], name)
        return self._derived[name]

    def query(self, text: str, variants: bool = False) -> Answer:
        """Answer a query of the grammar in `flowrl_kb.kb.grammar`."""
        from flowrl_kb.kb.query import query

        return query(self, text, variants)

    def relate(self, a: str, b: str) -> Relation:
        """Say how two methods or variants differ, and what is known to be the same."""
        from flowrl_kb.kb.relate import relate

        return relate(self, a, b)


def data_root() -> Path:
    """Return the folder with `taxonomy/` and `methods/`: FLOWRL_KB_ROOT, else packaged data, else the repository."""
    if ROOT in os.environ:
        return Path(os.environ[ROOT])
    package = Path(__file__).resolve().parents[1]
    packaged = package / "_data"
    return packaged if packaged.is_dir() else package.parent


def load(root: str | Path | None = None) -> KB:
    """Return the knowledge base under `root`, or raise `DataError` with every problem found."""
    kb, problems = known(root)
    if problems:
        raise DataError(problems)
    return kb


def known(root: str | Path | None = None) -> tuple[KB, list[Problem]]:
    """Do as `attempt` does, but answer from the stored copy where no file has changed since it was made."""
    folder = (Path(root) if root else data_root()).resolve()
    now = remembered.stamp(folder)
    kb = remembered.recall(now)
    if kb is not None:
        return kb, []
    from flowrl_kb.kb.files import attempt

    kb, problems = attempt(folder)
    if not problems:
        kb._stamp = now
        remembered.keep(now, kb)
        for part in APART:
            remembered.keep(now, getattr(kb, part), part)
    return kb, problems
