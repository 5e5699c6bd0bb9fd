"""What must hold across files: names resolve, ids are unique, no node breaks a constraint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowrl_kb.errors import Problem, QueryError, nearest
from flowrl_kb.kb.evaluate import condition
from flowrl_kb.kb.nodes import Node, allowed
from flowrl_kb.kb.schema import UNKNOWN, Projection
from flowrl_kb.kb.source import Loc
from flowrl_kb.kb.truth import NO, YES

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def errors(kb: KB) -> list[Problem]:
    """Return every cross-reference error of what could be read."""
    found = [*_names(kb), *_axes(kb), *_coordinates(kb), *_references(kb)]
    if not any(kind == "axis" for kind, _ in kb.broken):
        # With an axis missing every query that names it would fail too: report the cause only.
        found += [*_queries(kb), *(_constraints(kb) if not found else ())]
    return found


def warnings(kb: KB) -> list[Problem]:
    """Return what is suspicious or incomplete but not wrong."""
    return [*_unknown_axes(kb), *_hyperparameters(kb), *_not_catalogued(kb), *_stale(kb)]


def _at(kb: KB, kind: str, id: str, loc: Loc, message: str, close: str | None = None) -> Problem:
    path, line = kb.place(kind, id, *loc)
    return Problem(path, line, ".".join(map(str, loc)) or id, message, close)


def _names(kb: KB) -> Iterator[Problem]:
    owner = {card.id: card.id for card in kb.cards.values()}
    for card in kb.cards.values():
        for i, alias in enumerate(card.aliases):
            taken = owner.setdefault(alias.lower(), card.id)
            if taken != card.id:
                yield _at(kb, "card", card.id, ("aliases", i), f"alias {alias!r} already names {taken}")
        seen: set[str] = set()
        for i, variant in enumerate(card.variants):
            if variant.id in seen:
                yield _at(kb, "card", card.id, ("variants", i, "id"), f"duplicate variant {variant.id!r}")
            seen.add(variant.id)
        if card.revoked_by is not None and card.revoked_by not in kb.cards:
            yield _at(
                kb,
                "card",
                card.id,
                ("revoked_by",),
                f"unknown method {card.revoked_by!r}",
                nearest(card.revoked_by, kb.cards),
            )


def _axes(kb: KB) -> Iterator[Problem]:
    for axis in kb.axes.values():
        values = [value.id for value in axis.values]
        if axis.absent is not None and axis.absent not in values:
            message = f"unknown value {axis.absent!r} of {axis.id}"
            yield _at(kb, "axis", axis.id, ("absent",), message, nearest(axis.absent, values))
        for i, value in enumerate(axis.values):
            if value.id in values[:i]:
                yield _at(kb, "axis", axis.id, ("values", i, "id"), f"duplicate value {value.id!r}")
            for other in value.not_to_be_confused_with:
                if other not in values:
                    loc = ("values", i, "not_to_be_confused_with", other)
                    yield _at(
                        kb,
                        "axis",
                        axis.id,
                        loc,
                        f"unknown value {other!r} of {axis.id}",
                        nearest(other, values),
                    )


def _coordinates(kb: KB) -> Iterator[Problem]:
    for card in kb.cards.values():
        places: list[tuple[Loc, str, Loc, str]] = [
            (("coordinates", axis), axis, ("coordinates", axis, "value"), c.value)
            for axis, c in card.coordinates.items()
        ]
        for i, variant in enumerate(card.variants):
            for axis, value in variant.coordinates.items():
                loc: Loc = ("variants", i, "coordinates", axis)
                places.append((loc, axis, loc, value))
        for at_axis, axis, at_value, value in places:
            if ("axis", axis) in kb.broken:
                continue
            if axis not in kb.axes:
                yield _at(kb, "card", card.id, at_axis, f"unknown axis {axis!r}", nearest(axis, kb.axes))
            elif value not in (options := allowed(kb.axes[axis])):
                close = nearest(value, options) or _by_synonym(kb, axis, value)
                expected = "" if close else f"; expected one of {', '.join(options)}"
                yield _at(kb, "card", card.id, at_value, f"unknown value {value!r} of {axis}{expected}", close)


def _by_synonym(kb: KB, axis: str, value: str) -> str | None:
    return next((v.id for v in kb.axes[axis].values if value.lower() in map(str.lower, v.synonyms)), None)


def _references(kb: KB) -> Iterator[Problem]:
    for rule in kb.rules.values():
        for i, axis in enumerate(rule.free):
            if axis not in kb.axes and ("axis", axis) not in kb.broken:
                yield _at(kb, "rule", rule.id, ("free", i), f"unknown axis {axis!r}", nearest(axis, kb.axes))
        for identity in kb.verdicts.identities:
            if identity.id == rule.certificate and not identity.passed:
                message = f"certificate {identity.id!r} failed (error {identity.error}); the rule is not used"
                yield _at(kb, "rule", rule.id, ("certificate",), message)
    for chart in kb.projections.values():
        for loc, message, close in _charted(kb, chart):
            yield _at(kb, "projection", chart.id, loc, message, close)


def _charted(kb: KB, chart: Projection) -> Iterator[tuple[Loc, str, str | None]]:
    """Names in a projection that nothing has: place in the file, message, nearest valid name."""
    for i, row in enumerate(chart.published):
        for function in row.keys() - {"method", "where"}:
            loc, value = ("published", i, function), row[function]
            if function not in chart.functions:
                yield loc, f"unknown function {function!r}", nearest(function, chart.functions)
            elif value not in (options := [choice.value for choice in chart.functions[function]]):
                yield loc, f"unknown value {value!r} of {function}", nearest(value, options)
        if "method" not in row:
            yield ("published", i), "missing key 'method'", None
    facts = {**kb.rules, **kb.witnesses}
    for i, remark in enumerate(chart.remarks):
        for key, names, known in (("methods", remark.methods, kb.cards), ("rests_on", remark.rests_on, facts)):
            for j, name in enumerate(names):
                if name not in known and name not in {id for _, id in kb.broken}:
                    yield ("remarks", i, key, j), f"unknown name {name!r}", nearest(name, known)


def _queries(kb: KB) -> Iterator[Problem]:
    """Compile every condition in the data; facts about pairs may not depend on facts about pairs."""
    for kind, id, loc, text in _conditions(kb):
        try:
            found = condition(kb, text)
        except QueryError as error:
            yield _at(kb, kind, id, loc, str(error))
            continue
        for name in ("equiv", "differs"):
            if found.calls(name):
                yield _at(kb, kind, id, loc, f"{name}(...) may not be used here: it is derived from rules")


def _conditions(kb: KB) -> Iterator[tuple[str, str, Loc, str]]:
    for constraint in kb.constraints.values():
        yield "constraint", constraint.id, ("if",), constraint.if_
        yield "constraint", constraint.id, ("then",), constraint.then
    for rule in kb.rules.values():
        yield "rule", rule.id, ("between", "a"), rule.between.a
        yield "rule", rule.id, ("between", "b"), rule.between.b
    for arrow in kb.arrows.values():
        if arrow.if_:
            yield "arrow", arrow.id, ("if",), arrow.if_
    for witness in kb.witnesses.values():
        for i, entry in enumerate(witness.separates):
            yield "witness", witness.id, ("separates", i, "a"), entry.a
            yield "witness", witness.id, ("separates", i, "b"), entry.b
    for reason in kb.reasons.values():
        if reason.between:
            yield "reason", reason.id, ("between", "a"), reason.between.a
            yield "reason", reason.id, ("between", "b"), reason.between.b
    for chart in kb.projections.values():
        for function, choices in chart.functions.items():
            for i, choice in enumerate(choices):
                yield "projection", chart.id, ("functions", function, i, "if"), choice.if_


def _constraints(kb: KB) -> Iterator[Problem]:
    """Check every method and variant; an undecided coordinate never violates a constraint."""
    try:
        compiled = [(c, condition(kb, c.if_), condition(kb, c.then)) for c in kb.constraints.values()]
    except QueryError:
        return  # reported by _queries
    for node in kb.nodes.values():
        for constraint, if_, then in compiled:
            if if_.of(node) == YES and then.of(node) == NO:
                axes = dict.fromkeys((*if_.axes, *then.axes))
                found = ", ".join(f"{axis}={node[axis]}" for axis in axes if node[axis] != UNKNOWN)
                yield _at(
                    kb,
                    "card",
                    node.card.id,
                    _blame(node, (*then.axes, *if_.axes)),
                    f"{node.id} violates constraint {constraint.id}: {constraint.because}"
                    f" (found {found}; expected {constraint.then} when {constraint.if_})",
                )


def _blame(node: Node, axes: tuple[str, ...]) -> Loc:
    card, variant = node.card, node.variant
    if variant is not None:
        index = card.variants.index(variant)
        own = next((axis for axis in axes if axis in variant.coordinates), None)
        return ("variants", index, "coordinates", own) if own else ("variants", index)
    return ("coordinates", next((axis for axis in axes if axis in card.coordinates), axes[0]))


def _unknown_axes(kb: KB) -> Iterator[Problem]:
    for card in kb.cards.values():
        missing = kb.nodes[card.id].unknown(axis.id for axis in kb.mechanism)
        if missing:
            message = f"{len(missing)} mechanism axes unknown: {', '.join(missing)}"
            yield _at(kb, "card", card.id, ("coordinates",), message)


def _hyperparameters(kb: KB) -> Iterator[Problem]:
    for card in kb.cards.values():
        places: list[tuple[Loc, str]] = [
            (("hyperparameters", name), name) for name, h in card.hyperparameters.items() if not h.note
        ]
        for i, variant in enumerate(card.variants):
            places += [
                (("variants", i, "hyperparameters", name), name)
                for name in variant.hyperparameters
                if name not in card.hyperparameters
            ]
        for loc, name in places:
            if name not in kb.terms:
                message = f"{name!r} is no term of taxonomy/terms.yaml and has no note that explains it"
                yield _at(kb, "card", card.id, loc, message, nearest(name, kb.terms))


def _not_catalogued(kb: KB) -> Iterator[Problem]:
    for card in kb.cards.values():
        for i, relation in enumerate(card.relations):
            if relation.to not in kb.nodes:
                message = f"{relation.to!r} is not catalogued yet"
                yield _at(kb, "card", card.id, ("relations", i, "to"), message, nearest(relation.to, kb.nodes, 0.88))
    for chart in kb.projections.values():
        for i, row in enumerate(chart.published):
            if row.get("method") not in (None, *kb.cards):
                message = f"{row['method']!r} is not catalogued yet"
                yield _at(kb, "projection", chart.id, ("published", i, "method"), message)


def _stale(kb: KB) -> Iterator[Problem]:
    file = "taxonomy/verdicts.json"
    for method in kb.stale:
        yield Problem(file, 0, method, "certificate is stale: the card changed since; run flowrl-kb certify")
    made = {identity.id for identity in kb.verdicts.identities}
    for rule in kb.rules.values():
        if rule.certificate is not None and rule.certificate not in made:
            yield _at(kb, "rule", rule.id, ("certificate",), f"certificate {rule.certificate!r} has not been run")
    named = {m for p in kb.verdicts.pairs for m in (p.a, p.b)} | {c.method for c in kb.verdicts.certificates}
    for result in kb.verdicts.witnesses:
        if result.id not in kb.witnesses:
            yield Problem(file, 0, result.id, "no such witness", nearest(result.id, kb.witnesses, 0.8))
    for name in sorted(named - kb.nodes.keys()):
        yield Problem(file, 0, name, f"{name!r} is not catalogued", nearest(name, kb.nodes, 0.88))
