"""DACERv2's pull of the score, against a critic whose gradient has one direction, and without it against DACER."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.parts import path
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import dacer, dacerv2

KEY, B, STEPS = jax.random.key(0), 20_000, 4
RATE, SHIFT = 0.5, -1.0
WEIGHTS = np.exp(RATE * np.arange(STEPS, 0, -1) + SHIFT)
UP = np.array([0.6, -0.8])


def losses(kb, size, eta, slope=3.0, bend=0.0):
    """Published, composed and DACER's actor loss of a field whose score is -size UP; Q has the slope `slope` UP."""
    p = path.vp()
    grid = jnp.linspace(0.5, 0.0, STEPS + 1)
    actor = Field(lambda x, t, s: p.sigma(t)[..., None] * size * UP + 0.0 * x, p, grid, 2, "eps")
    q = lambda a: slope * (a @ UP) - bend * jnp.sum(a**2, axis=-1)  # noqa: E731
    critic = lambda s, a: jnp.stack([q(a), q(a) + 1.0])  # noqa: E731
    models = Models(actor=actor, critic=critic, log_temperature=jnp.zeros(()))
    batch = Batch(s=jnp.zeros((B, 1)), a=jnp.zeros((B, 2)))
    own = {"bc_weight": eta, "pull_rate": RATE, "pull_shift": SHIFT, "actor_noise_std": 0.1}
    composed = compose.of_node(kb.nodes["dacerv2"], composed=True, hyper=own)
    yield dacerv2.actor_loss(models, batch, KEY, **own)[0]
    yield composed.losses["actor"](models, batch, KEY)[0]
    yield dacer.actor_loss(models, batch, KEY, actor_noise_std=0.1)[0]


@pytest.mark.parametrize("slope", [3.0, 0.2])
@pytest.mark.parametrize("size", [-0.4, 0.0, 1.3])
def test_the_pull_is_a_squared_distance_to_the_weighted_direction_whatever_the_slope(kb, size, slope):
    published, composed, _ = jax.jacobian(lambda eta: jnp.stack(list(losses(kb, size, eta, slope))))(0.7)
    np.testing.assert_allclose([published, composed], np.mean((size + WEIGHTS) ** 2), rtol=1e-4)


def test_without_the_pull_it_is_dacer(kb):
    values = np.array(list(losses(kb, 0.5, 0.0)))
    np.testing.assert_allclose(values, values[2], atol=0.1)  # samples of 20000 actions, slope 3
    assert abs(next(iter(losses(kb, 0.5, 1.0))) - values[0]) > 0.5


def test_the_states_at_which_the_score_is_pulled_are_constants(kb):
    def pulls(size):
        with_pull, without = (list(losses(kb, size, eta, bend=1.0))[:2] for eta in (1.0, 0.0))
        return jnp.stack(with_pull) - jnp.stack(without)

    size, h = 0.5, 0.05
    slopes, values = jax.jacobian(pulls)(size), pulls(size)
    # L = size^2 + 2 size D + mean w^2 with D the mean of w_k UP . direction, so that D follows from L.
    held = 2 * size + (values - size**2 - np.mean(WEIGHTS**2)) / size
    np.testing.assert_allclose(slopes, held, rtol=1e-3)
    moved = (pulls(size + h) - pulls(size - h)) / (2 * h)  # the states move with the score
    assert np.all(np.abs(moved - held) > 0.05)
