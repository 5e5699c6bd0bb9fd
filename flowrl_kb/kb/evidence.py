"""How well a coordinate is supported: asserted, derived, or tested by a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb.schema import UNKNOWN

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


SLOTS_OF = {"actor": ("actor",), "acting": ("acting",), "critic": ("critic", "value"), "energy": ("energy",)}
"""Certified slots in which the axes of each kind of slot show."""


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
    found = [c.verdict for c in kb.verdicts.certificates if c.method == card and c.slot in slots]
    certified = bool(found) and set(found) == {"equal"}
    tried = [m.verdict for m in kb.verdicts.mutations if m.method == card and m.axis == axis]
    if certified and tried and set(tried) == {"different"} and card not in kb.stale:
        return "tested"
    return coordinate.status


def not_separated(kb: KB, card: str, axis: str) -> list[str]:
    """Return the other values of an axis that the mutation test could not tell from the card's own."""
    return [m.to for m in kb.verdicts.mutations if m.method == card and m.axis == axis and m.verdict == "not-separated"]
