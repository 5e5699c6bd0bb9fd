"""With which factor a value gradient enters the noise of a target or a sampler. Conditional axis `guidance-scale`."""

from __future__ import annotations

from flowrl_kb.parts.types import Array


def score(sigma: Array) -> Array:
    """sigma: the gradient is added to the score."""
    return sigma


def noise(sigma: Array) -> Array:
    """One: the gradient is added to the noise target, so the temperature grows with sigma."""
    return 1.0


def velocity(sigma: Array) -> Array:
    """sigma, beside a drift: the velocity of the noise -sigma grad E is added (see `guidance.guided`)."""
    return sigma
