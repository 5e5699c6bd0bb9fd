"""Names of the identities and what counts as passing.

Every identity returns (error, control_error): how far its two sides are apart, and how far they are apart after a
change that must break it. Where a certificate is an order test or limited by quadrature, its own bounds stand in the
decorator, in front of the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

TOLERANCE, CONTROL = 1e-5, 1e-2

Certificate = Callable[[], tuple[float, float]]


class Bounds(NamedTuple):
    tolerance: float
    control: float


IDENTITIES: dict[str, Certificate] = {}
BOUNDS: dict[str, Bounds] = {}


def identity(tolerance: float = TOLERANCE, control: float = CONTROL) -> Callable[[Certificate], Certificate]:
    """Register a function under its name with hyphens; it passes below `tolerance` when its control is above."""
    if not tolerance < control:
        raise ValueError("a control that may be as small as the tolerance controls nothing")

    def register(function: Certificate) -> Certificate:
        name = function.__name__.replace("_", "-")
        IDENTITIES[name], BOUNDS[name] = function, Bounds(tolerance, control)
        return function

    return register
