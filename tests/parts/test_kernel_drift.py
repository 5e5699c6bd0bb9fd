"""Drifting samples against hand-worked mean shifts, and the law at which they rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.kb.load import load
from flowrl_kb.parts import likelihood, normaliser
from flowrl_kb.parts.policy import Map
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import driftpo

POINTS = np.array([-1.0, 0.5, 2.0])
HERE, FLOOR = 0.25, 1.0
NUMBERS = {"entropy_samples": 32, "bandwidth_min": 0.05, "discount": 0.9}


class Listed:
    """A policy that draws the same three actions whatever it is asked."""

    def sample(self, key, s, lead=()):
        return jnp.asarray(POINTS, jnp.float32)[:, None, None]


def test_the_gradient_of_the_density_is_the_mean_shift_over_its_variance():
    k = np.exp(-((POINTS - HERE) ** 2) / 2.0)  # the floor binds: 1.5625 / 2 log 4 is below one
    shift = (k * (POINTS - HERE)).sum() / k.sum()
    a, s = jnp.array([[HERE]]), jnp.zeros((1, 1))
    gradient, h = likelihood.kernel_density(Listed(), jax.random.key(0), s, a, entropy_samples=3, bandwidth_min=FLOOR)
    np.testing.assert_allclose(h, FLOOR)
    np.testing.assert_allclose(gradient, shift, rtol=1e-5)
    np.testing.assert_allclose(driftpo.repulsion(a, jnp.asarray(POINTS)[:, None, None], FLOOR)[0], shift, rtol=1e-5)


def test_without_a_floor_the_variance_is_the_median_distance_over_twice_the_log_of_one_more_than_the_count():
    expected = 1.5625 / (2.0 * np.log(4.0))  # distances 1.5625, .0625 and 3.0625
    a, s = jnp.array([[HERE]]), jnp.zeros((1, 1))
    _, h = likelihood.kernel_density(Listed(), jax.random.key(0), s, a, entropy_samples=3, bandwidth_min=1e-3)
    np.testing.assert_allclose(h, expected, rtol=1e-6)


def test_the_gradient_ratio_makes_value_and_density_equally_long():
    g, density = jnp.array([[3.0, 4.0], [0.0, 0.1]]), jnp.array([[0.0, 2.0], [6.0, 8.0]])
    divided = g / normaliser.gradient_ratio(jnp.zeros(2), jnp.zeros(0), g, density)
    np.testing.assert_allclose(divided, [[1.2, 1.6], [0.0, 10.0]], rtol=1e-5)


def _pull(width, node="driftpo:fixed", **numbers):
    """How the loss of a Gaussian policy a = width z pulls its width, for Q = -a^2 / 2 and temperature 1."""
    method = compose.of_node(load().nodes[node], True, {**NUMBERS, "temperature": 1.0, "step_max": 10.0} | numbers)
    heads = lambda s, a: -0.5 * jnp.sum(jnp.square(a), axis=-1)[None]  # noqa: E731
    batch = Batch(s=jnp.zeros((4096, 1)), a=jnp.zeros((4096, 1)))

    def loss(width):
        policy = Map(lambda s, z: width * z, 1)
        return method.losses["actor"](Models(actor=policy, critic=heads), batch, jax.random.key(1))[0]

    return -float(jax.grad(loss)(jnp.asarray(width)))


def test_without_a_normaliser_the_policy_smoothed_by_its_kernel_rests_at_the_boltzmann_law():
    numbers = {"entropy_samples": 512, "bandwidth_min": 0.36}  # the median rule stays below this variance
    assert _pull(0.8 - 0.1, **numbers) > 0.02  # variance .49 + .36 is below one
    assert _pull(0.8 + 0.1, **numbers) < -0.02
    assert abs(_pull(0.8, **numbers)) < 0.01


def test_attraction_that_is_longer_than_repulsion_narrows_a_policy_that_would_rest():
    numbers = {"entropy_samples": 512, "bandwidth_min": 0.36}
    assert _pull(0.8, "driftpo", temperature=0.25, **numbers) < -0.1


@pytest.mark.parametrize("composed", [False, True], ids=["published", "composed"])
def test_no_action_moves_farther_than_the_longest_step(composed):
    method = compose.of_node(load().nodes["driftpo"], composed, {**NUMBERS, "temperature": 0.01, "step_max": 0.2})
    heads = lambda s, a: jnp.sum(a, axis=-1)[None]  # noqa: E731
    batch = Batch(s=jnp.zeros((64, 1)), a=jnp.zeros((64, 2)))
    loss, _ = method.losses["actor"](Models(actor=Map(lambda s, z: z, 2), critic=heads), batch, jax.random.key(0))
    np.testing.assert_allclose(loss, 0.2**2 / 2, rtol=0.05)  # nearly every drift is cut to this length


@pytest.mark.parametrize("composed", [False, True], ids=["published", "composed"])
def test_samples_that_coincide_do_not_repel_each_other_and_stay_where_they_are(composed):
    method = compose.of_node(load().nodes["driftpo"], composed, {**NUMBERS, "temperature": 0.25, "step_max": 1.0})
    heads = lambda s, a: jnp.sum(a, axis=-1)[None]  # noqa: E731
    batch = Batch(s=jnp.zeros((8, 1)), a=jnp.zeros((8, 2)))
    point = Map(lambda s, z: jnp.full(z.shape, 0.3), 2)
    loss, _ = method.losses["actor"](Models(actor=point, critic=heads), batch, jax.random.key(0))
    np.testing.assert_allclose(loss, 0.0, atol=1e-12)
