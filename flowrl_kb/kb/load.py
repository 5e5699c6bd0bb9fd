"""Loading the knowledge base: every file read strictly, every error collected before any is raised."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from flowrl_kb.errors import DataError, Problem, unknown
from flowrl_kb.kb import ROOT, remembered, verdicts
from flowrl_kb.kb.explain import explain
from flowrl_kb.kb.nodes import Node, of_card
from flowrl_kb.kb.schema import Axis, Card, Constraint, Projection, Term
from flowrl_kb.kb.source import Loc, Source, read
from flowrl_kb.kb.statements import Arrow, OpenReason, Rule, Witness
from flowrl_kb.kb.verdicts import Verdicts

if TYPE_CHECKING:
    from flowrl_kb.kb.query import Answer
    from flowrl_kb.kb.relate import Relation


DRAWN_WITH = ("policy", "path", "sampler")
"""Conditional axes of the actor on which the law of next actions, and of roll-outs, depends as well."""


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
    verdicts: Verdicts = field(default_factory=Verdicts)
    warnings: list[Problem] = field(default_factory=list)
    sources: dict[tuple[str, str], tuple[Source, Loc]] = field(default_factory=dict)
    broken: set[tuple[str, str]] = field(default_factory=set)
    _derived: dict[str, Any] = field(default_factory=dict, init=False)
    # What the files were when this was read; a changed copy (`dataclasses.replace`) has none and is never stored.
    _stamp: tuple | None = field(default=None, init=False)

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
        return frozenset(verdicts.stale(self.verdicts, self.cards))

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
    kb, problems = attempt(folder)
    if not problems:
        kb._stamp = now
        remembered.keep(now, kb)
    return kb, problems


def attempt(root: str | Path | None = None) -> tuple[KB, list[Problem]]:
    """Load as much as can be read and return it with the list of all problems."""
    kb = KB(Path(root) if root else data_root())
    if not (kb.root / "taxonomy" / "axes").is_dir():
        return kb, [Problem(str(kb.root), 0, "", "found no folder taxonomy/axes, expected the data of flowrl-kb")]
    problems: list[Problem] = []
    folder = {"axis": "taxonomy/axes", "rule": "taxonomy/rules", "projection": "taxonomy/projections"}
    axes = _folder(kb, "axis", folder["axis"], Axis, problems)
    kb.axes = dict(sorted(axes.items(), key=lambda item: (item[1].kind != "mechanism", item[1].order)))
    kb.constraints = _list(kb, "constraint", "taxonomy/constraints.yaml", Constraint, problems)
    kb.terms = _list(kb, "term", "taxonomy/terms.yaml", Term, problems)
    kb.rules = _folder(kb, "rule", folder["rule"], Rule, problems)
    kb.projections = _folder(kb, "projection", folder["projection"], Projection, problems)
    kb.arrows = _list(kb, "arrow", "taxonomy/arrows.yaml", Arrow, problems)
    kb.witnesses = _folder(kb, "witness", "taxonomy/witnesses", Witness, problems)
    kb.reasons = _list(kb, "reason", "taxonomy/open.yaml", OpenReason, problems)
    kb.cards = _folder(kb, "card", "methods", Card, problems)
    kb.verdicts, found = verdicts.read(kb.root / "taxonomy" / "verdicts.json", "taxonomy/verdicts.json")
    problems += found
    # Cross-references are checked on what could be read, so that one broken file hides no other error.
    from flowrl_kb.kb import checks

    problems += checks.errors(kb)
    kb.warnings = checks.warnings(kb)
    return kb, problems


def _folder(kb: KB, kind: str, folder: str, model: type[Any], problems: list[Problem]) -> dict[str, Any]:
    objects = {}
    for path in sorted((kb.root / folder).glob("*.yaml")):
        source = read(path, f"{folder}/{path.name}")
        problems += source.problems
        made = _make(kb, kind, model, source, (), source.data, problems)
        if made is None:
            kb.broken.add((kind, path.stem))
            continue
        if made.id != path.stem:
            problems.append(source.problem(("id",), f"found {made.id!r}, expected the file name {path.stem!r}"))
        objects[made.id] = made
    return objects


def _list(kb: KB, kind: str, file: str, model: type[Any], problems: list[Problem]) -> dict[str, Any]:
    if not (kb.root / file).exists():
        return {}
    source = read(kb.root / file, file)
    problems += source.problems
    if source.data is not None and not isinstance(source.data, tuple):
        problems.append(source.problem((), "found one object, expected a list"))
        return {}
    objects: dict[str, Any] = {}
    for i, data in enumerate(source.data or ()):
        made = _make(kb, kind, model, source, (i,), data, problems)
        if made is not None and made.id in objects:
            problems.append(source.problem((i, "id"), f"duplicate id {made.id!r}"))
        elif made is not None:
            objects[made.id] = made
    return objects


def _make(kb: KB, kind: str, model: type[Any], source: Source, loc: Loc, data: Any, problems: list[Problem]) -> Any:
    """Validate one object; what was already reported for a scalar is not reported twice."""
    if data is None:
        return None
    reported = {(p.line, p.where) for p in source.problems}
    try:
        made = model.model_validate(data)
    except ValidationError as error:
        for detail in error.errors():
            problem = explain(model, source, loc, detail)
            if (problem.line, problem.where) not in reported:
                problems.append(problem)
        return None
    kb.sources[kind, made.id] = (source, loc)
    return made
