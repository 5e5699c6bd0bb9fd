"""Cards for audited losses: a draft with the coordinates that an audit found, and what the map says of a draft.

Never imports jax.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowrl_kb.errors import DataError, UserError, nearest
from flowrl_kb.kb import facts, scaffold, source
from flowrl_kb.kb.cells import violations
from flowrl_kb.kb.nodes import Node, allowed, differences, distance
from flowrl_kb.kb.schema import UNKNOWN, Coordinate

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

SEEN = ("guidance-scale", "normaliser", "aggregation", "loss-space")
"""Conditional axes that an actor's update shows."""


def draft(kb: KB, policy: str, path: str, matched: Sequence[Mapping[str, str]]) -> str:
    """A card whose coordinates are those on which every matched cell agrees; the others stay unknown."""
    known = {"policy": policy} | ({"path": path} if path != "none" else {"path": "none"})
    shown = [*(axis.id for axis in kb.actor_axes), *SEEN] if matched else []
    for axis in shown:
        values = {cell[axis] for cell in matched}
        if len(values) == 1:
            known[axis] = values.pop()
    out = []
    for line in scaffold.text(kb, "my-loss").splitlines():
        axis = line.strip().partition(":")[0]
        if axis in known and "{value: unknown}" in line:
            line = f"  {axis}: {{value: {known[axis]}, status: derived, evidence: audit}}"
        out.append(line)
    return "\n".join(out) + "\n"


def read(kb: KB, file: Path) -> dict[str, str]:
    """The coordinates of a card or draft; axes that it leaves out are unknown. Errors: every wrong line."""
    if not file.is_file():
        raise UserError(f"found no file {file}")
    found = source.read(file)
    if found.problems:
        raise DataError(found.problems)
    rows = found.data.get("coordinates") if isinstance(found.data, dict) else None
    if not isinstance(rows, dict) or not rows:
        raise UserError(f"{file}: found no coordinates, expected `coordinates:` with axis: {{value: ...}}")
    problems, cell = [], dict.fromkeys(kb.axes, UNKNOWN)
    for axis, entry in rows.items():
        value = entry.get("value") if isinstance(entry, dict) else entry
        loc = ("coordinates", axis)
        if axis not in kb.axes:
            problems.append(found.problem(loc, f"unknown axis {axis!r}", nearest(axis, kb.axes)))
        elif value not in allowed(kb.axes[axis]):
            message = f"unknown value {value!r}, expected one of {', '.join(allowed(kb.axes[axis]))}"
            problems.append(found.problem(loc, message, nearest(str(value), allowed(kb.axes[axis]))))
        else:
            cell[axis] = value
    if problems:
        raise DataError(problems)
    return cell


def placed(kb: KB, cell: Mapping[str, str]) -> dict[str, Any]:
    """What the map says of coordinates: broken constraints, same cell, nearest methods, what rules would prove."""
    card = next(iter(kb.cards.values())).model_copy(
        update={
            "id": "draft",
            "name": "draft",
            "aliases": (),
            "variants": (),
            "relations": (),
            "coordinates": {axis: Coordinate(value=value) for axis, value in cell.items()},
        }
    )
    node = Node("draft", card, None, dict(cell))
    axes = [axis for axis in kb.actor_axes if cell[axis.id] != UNKNOWN]
    methods = [other for other in kb.nodes.values() if not other.variant]
    # With undecided axes nothing shares the cell for certain.
    whole = len(axes) == len(kb.actor_axes)
    same = [other.id for other in methods if not differences(node, other, kb.actor_axes)] if whole else []
    near = sorted(methods, key=lambda other: (distance(node, other, axes)[0], other.id))[:3]
    proved = [
        f for f in facts.proved(dataclasses.replace(kb, cards={**kb.cards, "draft": card})) if "draft" in (f.a, f.b)
    ]
    return {
        "unknown": [axis.id for axis in kb.actor_axes if cell[axis.id] == UNKNOWN],
        "violations": [{"id": c.id, "because": c.because} for c in violations(kb, cell)],
        "same_cell": same,
        "nearest": [
            {"method": other.id, "differs": {d.axis.id: [d.a, d.b] for d in differences(node, other, axes)}}
            for other in near
        ],
        "proved": [
            {
                "method": fact.other("draft"),
                "level": fact.level,
                "slot": fact.slot,
                "rule": fact.source,
                "assuming": list(kb.rules[fact.source].assumptions),
                "conditional": list(fact.assumptions[len(kb.rules[fact.source].assumptions) :]),
                "limit": fact.limit,
            }
            for fact in proved
        ],
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The answer as text."""
    out = [f"violates {row['id']}: {row['because']}" for row in found["violations"]] or ["violates no constraint"]
    if found["unknown"]:
        out.append(f"unknown: {', '.join(found['unknown'])}; no method shares the cell for certain")
    else:
        out.append(f"same cell: {', '.join(found['same_cell']) or 'no catalogued method'}")
    for row in found["nearest"]:
        axes = ", ".join(f"{axis} {yours} / {theirs}" for axis, (yours, theirs) in row["differs"].items())
        out.append(f"near {row['method']}: {axes or 'no known axis differs'}")
    rules: dict[tuple[str, ...], list[str]] = {}
    for row in found["proved"]:
        limit = f" in the limit {row['limit']}" if row["limit"] else ""
        assuming = f", assuming {', '.join(row['assuming'])}" if row["assuming"] else ""
        said = (f"rule {row['rule']} proves {row['level']} of the {row['slot']} with ", limit + assuming)
        rules.setdefault(said, []).append(row["method"])
    out += [start + ", ".join(names) + end for (start, end), names in rules.items()]
    return out if found["proved"] else [*out, "no rule proves an equality with a catalogued method"]
