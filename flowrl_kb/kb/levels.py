"""Levels of agreement between two updates, and the only implications between them."""

from __future__ import annotations

from functools import cache

LEVELS = (
    "same-loss",
    "same-update",
    "same-update-at-old",
    "same-target-field",
    "limit",
    "same-executed-law",
)

MEANING = {
    "same-loss": "the losses are the same function of the same random draws",
    "same-update": "the expected gradient fields agree at every policy",
    "same-update-at-old": "the expected gradient fields agree where the policy equals the previous one",
    "same-target-field": "the losses have the same minimiser, up to a positive weight",
    "limit": "the updates agree in the limit of a parameter",
    "same-executed-law": "the executed actions have the same law",
}

_ARROWS = {"same-loss": ("same-update",), "same-update": ("same-update-at-old", "same-target-field")}


@cache
def implied(level: str) -> frozenset[str]:
    """Return the level and all levels that follow from it."""
    found = {level}
    for weaker in _ARROWS.get(level, ()):
        found |= implied(weaker)
    return frozenset(found)
