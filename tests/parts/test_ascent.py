"""Moved actions against the closed form of gradient steps on a quadratic, and the buffer that takes them in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.kb.load import load
from flowrl_kb.parts import operator
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.train.replay import Replay

PEAK, STEEP, RATE, STEPS = jnp.array([0.5, -1.0]), 2.0, 0.1, 3
A = jnp.array([[1.0, 1.0], [-2.0, 0.0], [0.5, -1.0]])


def hill(a):
    return -0.5 * STEEP * jnp.sum(jnp.square(a - PEAK), axis=-1)


def test_steps_on_a_quadratic_shrink_the_distance_by_a_fixed_factor():
    move = operator.ascent(action_steps=STEPS, action_rate=RATE).move
    np.testing.assert_allclose(move(hill, A), PEAK + (1 - RATE * STEEP) ** STEPS * (A - PEAK), rtol=1e-5)


def test_moved_actions_stay_in_the_box():
    move = operator.ascent(action_steps=1, action_rate=10.0, box=1.0).move
    np.testing.assert_allclose(move(lambda a: jnp.sum(a, axis=-1), A), 1.0)


@pytest.mark.parametrize("composed", [False, True], ids=["published", "composed"])
def test_what_an_update_writes_back_starts_from_the_stored_action(composed):
    node = load().nodes["dipo"]
    method = compose.of_node(node, composed, {"action_steps": STEPS, "action_rate": RATE})
    lower = lambda s, a: jnp.stack([hill(a), hill(a) - 1.0])  # noqa: E731
    batch = Batch(s=jnp.zeros((3, 1)), a=jnp.zeros((3, 2)), stored=A)
    new = method.rewrite(Models(critic=lower), batch, jax.random.key(0))
    np.testing.assert_allclose(new, PEAK + (1 - RATE * STEEP) ** STEPS * (A - PEAK), rtol=1e-5)


def test_the_replay_rewrites_stored_actions_and_leaves_executed_ones():
    replay = Replay(4, 1, 2, rewrites=True)
    replay.add(np.zeros((3, 1)), np.asarray(A), np.zeros(3), np.zeros((3, 1)), np.zeros(3))
    batch = replay.sample(np.random.default_rng(0), (2, 8))
    np.testing.assert_array_equal(batch.stored, batch.a)
    replay.rewrite(batch.stored + 1.0)
    again = replay.sample(np.random.default_rng(0), (2, 8))
    np.testing.assert_array_equal(again.a, batch.a)
    np.testing.assert_array_equal(again.stored, batch.a + 1.0)
