"""Adjoint Matching on two steps with fields that a sum can be done for by hand, published and composed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.parts.path import linear
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import adjoint_matching


def field(velocity):
    """A field that moves towards data with the given velocity, on the levels 0.8, 0.4, 0."""
    return Field(
        lambda x, t, s: -velocity(x, t), linear(t_max=1.0), jnp.array([0.8, 0.4, 0.0]), 2, "velocity", "ode", 0.0, None
    )


S = jnp.zeros((3, 1))
CELL = {"temperature": 0.5, "adjoint_level": "own"}


def losses(kb, base, actor, **changes):
    """The published and the composed actor loss for the reward 3 a_1, read by two heads."""
    reward = lambda s, a: jnp.stack([3.0 * a[..., 0]] * 2)  # noqa: E731
    models, batch = Models(actor=field(actor), behaviour=field(base), critic=reward), Batch(s=S, a=jnp.zeros((3, 2)))
    hyper = {**CELL, **changes}
    cell = compose.compose("cell", dict(kb.resolve("adjoint-matching").coordinates), hyper)
    assert set(cell.losses) == {"actor"}, "the pre-trained model is given"
    published = adjoint_matching.actor_loss(models, batch, jax.random.key(0), **hyper)[0]
    return float(published), float(cell.losses["actor"](models, batch, jax.random.key(0))[0])


def test_a_base_at_rest_carries_the_gradient_by_the_signal_alone(kb):
    """sigma^2 = 4 and 1.6; the drift -x / alpha carries a_2 = -6 back to -3.6 and -1.2, at alpha = 1 and 0.6.

    With a velocity of one the errors are 1 - 2.4 and 2 / 1.6^(1/2) - 3.6 1.6^(1/2).
    """
    moving = lambda x, t: jnp.ones_like(x) * jnp.array([1.0, 0.0])  # noqa: E731
    for loss in losses(kb, lambda x, t: jnp.zeros_like(x), moving):
        np.testing.assert_allclose(loss, 1.96 + 8.836, rtol=1e-5)


@pytest.mark.parametrize("level, second, first", [("own", -5.52, -5.3728), ("next", -3.6, -2.352)])
def test_the_base_is_read_at_the_level_of_its_state_or_one_later(kb, level, second, first):
    """Base velocity t x, t the noise level: carried back by 1 + 0.4 (2 t - 1 / alpha), t = 0.4, 0.8 or 0, 0.4.

    An actor that equals the base leaves sum sigma^2 a^2.
    """
    base = lambda x, t: t[..., None] * x  # noqa: E731
    for loss in losses(kb, base, base, adjoint_level=level):
        np.testing.assert_allclose(loss, 1.6 * second**2 + 4 * first**2, rtol=1e-5)
