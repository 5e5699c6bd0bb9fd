"""Reading the knowledge base from its files: each strictly, every error collected before any is raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flowrl_kb.errors import Problem
from flowrl_kb.kb import checks, verdicts
from flowrl_kb.kb.explain import explain
from flowrl_kb.kb.load import KB, data_root
from flowrl_kb.kb.schema import Axis, Card, Constraint, Projection, Term
from flowrl_kb.kb.source import Loc, Source, read
from flowrl_kb.kb.statements import Arrow, OpenReason, Rule, Witness


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
