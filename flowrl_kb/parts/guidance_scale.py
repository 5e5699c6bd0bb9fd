"""With which factor a value gradient enters the noise of a target or a sampler. Conditional axis `guidance-scale`.

`sigma` is the noise of the level; `step()` the deviation of the sampler's next step, which guided samplers alone have.
"""

from __future__ import annotations

from collections.abc import Callable

from flowrl_kb.parts.types import Array


def score(sigma: Array, step: Callable[[], Array] | None = None) -> Array:
    """sigma: the gradient is added to the score."""
    return sigma


def noise(sigma: Array, step: Callable[[], Array] | None = None) -> Array:
    """One: the gradient is added to the noise target, so the temperature grows with sigma."""
    return 1.0


def velocity(sigma: Array, step: Callable[[], Array] | None = None) -> Array:
    """sigma, beside a drift: the velocity of the noise -sigma grad E is added (see `guidance.guided`)."""
    return sigma


def step_deviation(sigma: Array, step: Callable[[], Array]) -> Array:
    """The deviation of the step that is about to be taken: more steps, less guidance. Source: ACA's code."""
    return step()
