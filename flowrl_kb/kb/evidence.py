"""How well a coordinate is supported: asserted, derived, or tested by a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowrl_kb.kb.schema import UNKNOWN

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


SLOTS_OF = {"actor": ("actor",), "acting": ("acting",), "critic": ("critic", "value"), "energy": ("energy",)}
"""Certified slots in which the axes of each kind of slot show."""


class Gathered(NamedTuple):
    """What the verdicts say about coordinates: certificates by card and slot, mutations by card and axis."""

    certified: dict[tuple[str, str], list[str]]
    tried: dict[tuple[str, str], list[tuple[str, str]]]
    stale: frozenset[str]


def gathered(kb: KB) -> Gathered:
    """Return the verdicts that bear on coordinates, indexed."""
    return kb.derived("evidence", _gather)


def _gather(kb: KB) -> Gathered:
    made = Gathered({}, {}, kb.stale)
    for c in kb.verdicts.certificates:
        made.certified.setdefault((c.method, c.slot), []).append(c.verdict)
    for m in kb.verdicts.mutations:
        made.tried.setdefault((m.method, m.axis), []).append((m.to, m.verdict))
    return made


def status(kb: KB, card: str, axis: str) -> str:
    """Return `tested`, `derived`, `asserted` or `unknown` for one coordinate of a card.

    Tested: the composed cell reproduces the published update, and every other value that was tried on this
    axis made the comparison fail. A certificate made for an older card does not count.
    """
    coordinate = kb.cards[card].coordinates.get(axis)
    if coordinate is None:
        return "derived" if kb.axes[axis].absent else UNKNOWN
    if coordinate.value == UNKNOWN:
        return UNKNOWN
    slots = SLOTS_OF[kb.axes[axis].slot]
    made = gathered(kb)
    certified = {verdict for slot in slots for verdict in made.certified.get((card, slot), ())} == {"equal"}
    tried = {verdict for _, verdict in made.tried.get((card, axis), ())}
    if certified and tried == {"different"} and card not in made.stale:
        return "tested"
    return coordinate.status


def not_separated(kb: KB, card: str, axis: str) -> list[str]:
    """Return the other values of an axis that the mutation test could not tell from the card's own."""
    return [to for to, verdict in gathered(kb).tried.get((card, axis), ()) if verdict == "not-separated"]
