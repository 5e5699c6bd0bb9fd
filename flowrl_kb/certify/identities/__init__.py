"""Numerical guards of rules: both sides of an identity by different expressions, and a control that must fail.

NumPy and SciPy only, by quadrature or in closed form, so that all of them together take seconds.
"""

from __future__ import annotations

from typing import Any

from flowrl_kb.certify.identities import (
    candidates,
    chains,
    critics,
    fields,
    limits,
    maps,
    operators,
    parameterizations,
    ratios,
    values,
)
from flowrl_kb.certify.identities.registry import BOUNDS, CONTROL, IDENTITIES, TOLERANCE

__all__ = ["BOUNDS", "CONTROL", "IDENTITIES", "TOLERANCE", "passed", "run"]
SUBJECTS = (parameterizations, operators, candidates, fields, values, chains, ratios, limits, maps, critics)


def passed(name: str, error: float, control: float) -> bool:
    """Whether a result is inside the bounds that were declared for this identity."""
    return error < BOUNDS[name].tolerance and control > BOUNDS[name].control


def run() -> list[dict[str, Any]]:
    """Evaluate every identity with its control."""
    rows = []
    for name, function in IDENTITIES.items():
        error, control = map(float, function())  # NumPy numbers are no JSON
        ok = passed(name, error, control)
        rows.append({"id": name, "error": error, "control_error": control, "passed": ok})
    return rows
