"""A temperature that holds the divergence of weights, noised candidates and cut errors, by closed forms."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from flowrl_kb.parts import operator, source, space
from flowrl_kb.parts.direction import Draws
from flowrl_kb.parts.temperature_control import weight_divergence
from flowrl_kb.parts.types import Batch, Models

Q = np.random.default_rng(0).normal(size=(16, 3))
OPERATORS = [operator.exponential, operator.linear, operator.square]


def slope(weigh, target_kl, at):
    """The gradient of the loss in the log temperature."""
    loss = weight_divergence(target_kl=target_kl, weigh=weigh)["log_temperature"]
    return float(jax.grad(lambda x: loss(Models(log_temperature=x), None, None)[0])(jnp.array(at)))


@pytest.mark.parametrize("w, divergence", [([1, 0, 0, 0], np.log(4)), ([0.25] * 4, 0.0), ([0.5, 0.5, 0, 0], np.log(2))])
def test_the_slope_is_the_temperature_times_what_the_divergence_lacks(w, divergence):
    weights = jnp.array(w)[:, None]
    found = slope(lambda *_: weights, 0.3, np.log(2.0))
    np.testing.assert_allclose(found, 2.0 * (0.3 - divergence), rtol=1e-5)


def divergence(make, log_temperature):
    """Mean KL from equal weights of an operator at this temperature itself, in double precision."""
    w = np.asarray(make(temperature=float(np.exp(log_temperature))).weights(jnp.asarray(Q)), float)
    return float(np.mean(np.log(len(w)) + np.sum(np.where(w > 0, w * np.log(np.maximum(w, 1e-30)), 0.0), axis=0)))


@pytest.mark.parametrize("make", OPERATORS)
def test_it_rests_where_the_divergence_is_the_target_and_returns_from_both_sides(make):
    at = brentq(lambda x: divergence(make, x) - 0.5, -6.0, 3.0)
    weigh = lambda models, *_: jax.lax.stop_gradient(  # noqa: E731
        make(temperature=1.0).weights(jnp.asarray(Q) / jnp.exp(models.log_temperature))
    )
    below, there, above = (slope(weigh, 0.5, at + step) for step in (-0.3, 0.0, 0.3))
    assert below < 0.0 < above and abs(there) < 1e-3 * min(-below, above)


def test_with_exponential_weights_its_slope_is_that_of_the_dual():
    def dual(x):
        temperature = jnp.exp(x)
        return temperature * (0.5 + jnp.mean(jax.nn.logsumexp(Q / temperature, axis=0) - jnp.log(len(Q))))

    weigh = lambda models, *_: jax.lax.stop_gradient(jax.nn.softmax(Q / jnp.exp(models.log_temperature), axis=0))  # noqa: E731
    for at in (-1.0, 0.0, 1.0):
        np.testing.assert_allclose(slope(weigh, 0.5, at), jax.grad(dual)(at), rtol=1e-3)


def test_candidates_of_a_smoothed_policy_have_the_sum_of_both_variances():
    old = SimpleNamespace(sample=lambda key, s, lead: 0.3 * jax.random.normal(key, (*lead, len(s), 2)) + s)
    s = jnp.broadcast_to(jnp.array([1.0, -2.0]), (50, 2))
    a = source.previous(Models(old=old), Batch(s, s), jax.random.key(0), 400, candidate_noise_std=0.4)
    np.testing.assert_allclose(a.mean((0, 1)), [1.0, -2.0], atol=0.02)
    np.testing.assert_allclose(a.std((0, 1)), 0.5, rtol=0.03)


def test_a_square_above_the_bound_counts_as_the_bound_and_has_no_slope():
    draws = Draws(jnp.zeros((1, 1, 2)), jnp.full((1, 1), 0.5), jnp.zeros((1, 1, 2)), jnp.zeros((1, 1, 2)))

    def error(noise):
        field = SimpleNamespace(eps=lambda x, t, s: noise[None, None], path=None)
        one = lambda path, t: jnp.ones_like(t)  # noqa: E731
        return space.denoising_error(field, draws, None, one, error_max=1.0)[0, 0]

    np.testing.assert_allclose(error(jnp.array([0.5, 2.0])), 0.25 + 1.0)
    np.testing.assert_allclose(jax.grad(error)(jnp.array([0.5, 2.0])), [1.0, 0.0])
