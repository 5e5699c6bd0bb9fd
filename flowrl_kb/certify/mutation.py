"""Mutations: every executable change of one coordinate, which the certificate must notice.

A change that it does not notice is listed as not separated: the two values are one update for this method.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from flowrl_kb import compose
from flowrl_kb.certify import subject
from flowrl_kb.certify.compare import LOOKS
from flowrl_kb.certify.fingerprint import Fingerprint
from flowrl_kb.certify.numbers import decide
from flowrl_kb.certify.store import kept, made_from
from flowrl_kb.certify.subject import HYPER, laboratory_hyper, slots
from flowrl_kb.errors import UserError
from flowrl_kb.kb.cells import violations
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node

PLAIN_BACKUP = {"backup-policy": "online", "backup-aggregation": "min", "backup-smoothing": "none"}
"""How a next action is proposed, read and smoothed where nothing else is said."""
SLOT_AXES = {
    "acting": ("acting",),
    "critic": ("backup", "critic", *PLAIN_BACKUP),
    "value": ("critic",),
    "step_critic": ("reference", *PLAIN_BACKUP),
    "behaviour": (),
    "energy": ("energy", "energy-weight"),
    "log_temperature": (),
}
"""Axes that are changed outside the actor slot, whose mechanism axes are."""


def mutants(kb: KB, node: Node, slot: str) -> Iterator[tuple[str, str, dict[str, str], dict[str, Any]]]:
    """Every executable change of one coordinate of the slot: (axis, value, cell, hyper-parameters).

    Where a constraint couples two axes, the second is moved along (to the first value that is allowed and has a part).
    Of a variant only acting is changed, and the coordinates in which it differs from its card, which tests the others.
    """
    axes = SLOT_AXES.get(slot, [axis.id for axis in kb.actor_axes])
    changed = {"acting", *(node.variant.coordinates if node.variant else axes)}
    own = [axis for axis in axes if axis in changed]
    for axis in map(kb.axes.__getitem__, own):
        if axis.id in PLAIN_BACKUP and node["backup"] == "none":
            continue  # there is no next action to propose, to read or to smooth
        for value in axis.values:
            if value.id != node[axis.id]:
                for cell in _neighbours(kb, node, axis.id, value.id):
                    try:
                        hyper = compose.sufficient(node.id, cell, laboratory_hyper(node), HYPER)
                    except UserError:
                        continue
                    yield axis.id, value.id, cell, hyper
                    break


def _neighbours(kb: KB, node: Node, axis: str, value: str) -> Iterator[dict[str, str]]:
    """The changed cell if no constraint forbids it, else every allowed one with one further axis changed."""
    changed = plumbed({**node.coordinates, axis: value})
    if changed[axis] != value:
        return  # no plumbing where some is needed: this is another mutant, or the cell itself
    if not violations(kb, changed):
        yield changed
        return
    for other in kb.mechanism:
        for further in other.values:
            if other.id not in (axis, "route") and further.id != changed[other.id]:
                cell = plumbed({**changed, other.id: further.id})
                if not violations(kb, cell):
                    yield cell


def plumbed(cell: Mapping[str, str]) -> dict[str, str]:
    """The cell with the plumbing of its backup: none where no next action is drawn, the plain one where it has none."""
    if cell.get("backup") == "none":
        return {**cell, **dict.fromkeys(PLAIN_BACKUP, "none")}
    lacking = {axis: value for axis, value in PLAIN_BACKUP.items() if cell.get(axis, "none") == "none"}
    return {**cell, **lacking}


class Mutant(NamedTuple):
    """What was changed, as a row, and the update of the changed cell; None where it has no such slot."""

    row: dict[str, Any]
    update: Fingerprint | None

    def key(self, published: Fingerprint) -> dict[str, Any]:
        """The row with what its verdict will be computed from."""
        return {**self.row, "made_from": made_from(published, self.update)}


def prepared(kb: KB, node: Node, slot: str) -> list[Mutant]:
    """The mutants of a slot with their updates, of which no replicate has been computed yet."""
    found = []
    for axis, value, cell, hyper in mutants(kb, node, slot):
        row = {"method": node.id, "slot": slot, "axis": axis, "from": node[axis], "to": value}
        row["with"] = {a: v for a, v in cell.items() if v != node[a] and a != axis}
        has_slot = slot in slots(compose.compose(node.id, cell, hyper))
        found.append(Mutant(row, subject.of_cell(node.id, cell, hyper, slot) if has_slot else None))
    return found


def mutation_test(
    published: Fingerprint, mutants: list[Mutant], rows: int, stored: Iterable[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Compare the published update of a slot with every mutant; `not-separated` where they agree.

    What `stored` holds of the same programs is not measured again.
    """
    found = []
    for mutant in mutants:
        row, other = mutant.key(published), mutant.update
        if same := kept(stored, row):
            found.append(same)
            continue
        if other is None:
            found.append({**row, "verdict": "different", "worst_residual": None, "note": f"trains no {row['slot']}"})
            continue
        try:
            result = decide(published, other, LOOKS[:3], rows)
        except FloatingPointError as error:
            if published.take(LOOKS[0]):  # the published side is finite, so the mutant is not
                found.append({**row, "verdict": "different", "worst_residual": None, "note": str(error)})
            continue
        verdict = {"equal": "not-separated"}.get(result.verdict, result.verdict)
        found.append({**row, "verdict": verdict, "worst_residual": round(result.residual, 4)})
    return found
