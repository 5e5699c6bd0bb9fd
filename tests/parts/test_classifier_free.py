"""Extrapolated fields between Gaussians of one width, which stay Gaussian, and the weight of the condition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.compose import compose
from flowrl_kb.parts import operator, path
from flowrl_kb.parts.guidance import extrapolated
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import cfgrl

DATA, GOOD, VARIANCE, WEIGHT, B = -0.2, 0.4, 0.25, 3.0, 40_000
KEY = jax.random.key(0)
HYPER = {"guidance_weight": WEIGHT, "advantage_threshold": 0.0, "expectile": 0.9, "discount": 0.9}


def gaussian(mean):
    """The exact field of N(mean, VARIANCE) on the straight path in one dimension."""
    p = path.linear()

    def eps(x, t, s):
        alpha, sigma = path.coefficients(p, t)
        return sigma * (x - alpha * mean) / (alpha**2 * VARIANCE + sigma**2)

    return Field(eps, p, jnp.linspace(1.0 - 1e-3, 0.0, 201), 1, sampler="ode")


def test_between_gaussians_of_one_width_the_mean_is_extrapolated():
    x, t, s = jnp.array([[-1.0], [0.3]]), jnp.array([0.2, 0.9]), jnp.zeros((2, 1))
    beyond = extrapolated(gaussian(DATA), gaussian(GOOD), WEIGHT)
    want = gaussian(DATA + WEIGHT * (GOOD - DATA))
    np.testing.assert_allclose(beyond.eps(x, t, s), want.eps(x, t, s), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(beyond.velocity(x, t, s), want.velocity(x, t, s), rtol=1e-5, atol=1e-6)


def executed(kb):
    """Published and composed actions of B equal states."""
    models, s = Models(actor=gaussian(GOOD), behaviour=gaussian(DATA)), jnp.zeros((B, 1))
    yield cfgrl.act(models, s, KEY, guidance_weight=WEIGHT)
    yield compose("cell", kb.nodes["cfgrl"].coordinates, HYPER).act(models, s, KEY)


def test_executed_actions_have_the_extrapolated_mean_and_the_common_width(kb):
    for a in executed(kb):
        np.testing.assert_allclose(jnp.mean(a), DATA + WEIGHT * (GOOD - DATA), atol=0.02)
        np.testing.assert_allclose(jnp.var(a), VARIANCE, rtol=0.05)


def test_the_weight_is_one_from_the_threshold_on_and_zero_below():
    excess = jnp.array([[-1.0, 0.0, 0.2, 5.0]])
    np.testing.assert_array_equal(operator.conditional().weights(excess), [[0.0, 1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(operator.conditional(advantage_threshold=0.2).weights(excess), [[0.0, 0.0, 1.0, 1.0]])


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_the_loss_is_that_of_good_actions_whatever_their_advantage(kb, scale):
    # The actor knows the law of good actions, so that a denoising error of a standard normal part remains.
    s = jnp.repeat(jnp.array([[0.0], [1.0]]), B // 2, axis=0)
    batch = Batch(s=s, a=jnp.full((B, 1), GOOD))
    critic = lambda s, a: scale * jnp.stack([s[..., 0] - 0.5, s[..., 0] + 2.0])  # noqa: E731
    models = Models(actor=gaussian(GOOD), critic=critic, value=lambda s: jnp.zeros(s.shape[:-1]))
    all_good = models._replace(critic=lambda s, a: jnp.ones((2, *s.shape[:-1])))
    composed = compose("cell", kb.nodes["cfgrl"].coordinates, HYPER).losses["actor"]
    for loss in (composed, lambda m, b, k: cfgrl.actor_loss(m, b, k, advantage_threshold=0.0)):
        half, whole = loss(models, batch, KEY)[0], loss(all_good, batch, KEY)[0]
        np.testing.assert_allclose(half, 0.5 * whole, rtol=0.05)
