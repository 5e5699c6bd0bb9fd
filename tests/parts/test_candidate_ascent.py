"""Candidates that are chosen and climb, against closed forms of gradient steps on a quadratic, worked by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.kb.load import load
from flowrl_kb.parts import acting, operator
from flowrl_kb.parts.path import vp
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import pa_rl

PEAK, STEEP, RATE, STEPS = 0.5, 2.0, 0.1, 3
DRAWN = jnp.array([[[3.0]], [[1.0]], [[-0.5]], [[0.0]]])  # four candidates of one state; the best are 1 and 0
SHRINK = (1 - RATE * STEEP) ** STEPS
CLIMBED = [PEAK + SHRINK * 0.5, PEAK - SHRINK * 0.5]


def hill(a):
    return -0.5 * STEEP * jnp.sum(jnp.square(a - PEAK), axis=-1)


def heads(s, a):
    """Two heads whose mean is the hill."""
    return jnp.stack([hill(a) + 1.0, hill(a) - 1.0])


class Drawing:
    """A policy whose candidates are DRAWN."""

    def sample(self, key, s, lead=()):
        return DRAWN[: lead[0]] if lead else DRAWN[0]


def chosen(rate, steps=STEPS, box=None):
    """Kept actions of both sides, in increasing order."""
    made = {"kept": 2, "action_steps": steps, "action_rate": rate, "box": box}
    yield np.sort(np.ravel(operator.candidate_ascent(**made).move(hill, DRAWN)))
    yield np.sort(np.ravel(pa_rl.optimised(heads, jnp.zeros((1, 1)), DRAWN, **made)[0]))


def test_the_best_candidates_climb_and_the_others_are_dropped():
    for a in chosen(RATE):
        np.testing.assert_allclose(a, np.sort(CLIMBED), rtol=1e-5)


def test_a_climb_that_overshoots_is_left_at_its_best_point():
    for a in chosen(1.4):  # steps multiply the distance by -1.8
        np.testing.assert_allclose(a, [0.0, 1.0], atol=1e-6)


def test_climbs_stay_in_the_box():
    for a in chosen(RATE, steps=50, box=0.3):
        np.testing.assert_allclose(a, [0.3, 0.3], atol=1e-6)


def test_weights_are_the_softmax_over_candidates():
    w = operator.candidate_ascent(kept=2, action_steps=1, action_rate=0.1, temperature=0.5).weights
    np.testing.assert_allclose(w(jnp.array([[0.0], [0.5 * np.log(3.0)]])), [[0.25], [0.75]], rtol=1e-6)


@pytest.mark.parametrize("composed", [False, True], ids=["published", "composed"])
def test_the_executed_action_is_the_best_after_the_climb(composed):
    hyper = {"best_of": 3, "kept": 2, "action_steps": STEPS, "action_rate": RATE}
    act = partial(acting.ascent, acting_aggregation="mean") if composed else pa_rl.act
    a = act(Models(actor=Drawing(), critic=heads), jnp.zeros((1, 1)), jax.random.key(0), **hyper)
    np.testing.assert_allclose(a, CLIMBED[:1] * np.ones((1, 1)), rtol=1e-5)  # the climb from 1, the nearest to the peak


def test_the_loss_of_the_composed_cell_weighs_every_kept_candidate():
    node = load().nodes["pa-rl"]
    hyper = compose.hyperparameters(node) | {"candidates": 4, "kept": 2, "action_steps": STEPS, "action_rate": RATE}
    seen = []

    class Actor:
        path = vp()

        def eps(self, x, t, s):
            seen.append(x.shape)
            return jnp.zeros_like(x)

    batch = Batch(s=jnp.zeros((1, 1)), a=jnp.zeros((1, 1)))
    models = Models(actor=Actor(), old=Drawing(), critic=heads)
    compose.of_node(node, True, hyper).losses["actor"](models, batch, jax.random.key(0))
    assert seen == [(2, 1, 1)]
