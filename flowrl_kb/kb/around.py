"""The screen of one cell and what lies around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrl_kb.kb import cells
from flowrl_kb.kb.schema import UNKNOWN
from flowrl_kb.kb.terminal import table, wrapped

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def cell_record(kb: KB, text: str) -> dict[str, Any]:
    """Return what `cell` prints, as data: coordinates, broken constraints, members, nearest, neighbours."""
    if "=" in text:
        found = cells.parse(kb, text)
    else:
        node = kb.resolve(text)
        found = {axis.id: node[axis.id] for axis in kb.actor_axes}
    decided = {axis: value for axis, value in found.items() if value != UNKNOWN}
    broken = cells.violations(kb, decided)
    completion = None if broken else cells.possible(kb, None, decided)
    surely, maybe = cells.members(kb, decided)
    return {
        "cell": found,
        "violates": [{"id": c.id, "because": c.because} for c in broken],
        "allowed": not broken and completion is not None,
        "members": [n.id for n in surely],
        "may": [n.id for n in maybe],
        "nearest": [(steps, n.id) for steps, n in cells.nearest(kb, decided)] if not surely else [],
        "neighbours": [(axis, value, [n.id for n in nodes]) for axis, value, nodes in cells.neighbours(kb, decided)],
    }


def cell(kb: KB, text: str) -> None:
    """Print a cell: who is in it, or why nobody can be, and what lies one coordinate away."""
    data = cell_record(kb, text)
    table(("axis", "value"), data["cell"].items())
    for broken in data["violates"]:
        wrapped(f"impossible: constraint {broken['id']} ({broken['because']})")
    if not data["allowed"] and not data["violates"]:
        print("impossible: no completion of these coordinates satisfies all constraints")
    if data["allowed"]:
        print("members: " + (", ".join(data["members"]) or "none catalogued: an allowed, empty cell"))
        if data["may"]:
            print("may be members: " + ", ".join(data["may"]))
    if data["nearest"]:
        print("nearest: " + ", ".join(f"{id} (distance {steps})" for steps, id in data["nearest"]))
    if data["neighbours"]:
        rows = [(axis, value, ", ".join(ids) or "empty") for axis, value, ids in data["neighbours"]]
        table(("one step away", "value", "methods"), rows)
