"""The score of the data's model at noised copies of produced actions, against Gaussian data in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.compose import compose
from flowrl_kb.parts import path
from flowrl_kb.parts.policy import Deterministic, Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import srpo

CENTRE, VARIANCE, LEVEL, BETA, B = 0.5, 0.3, 0.6, 0.2, 200_000
KEY = jax.random.key(0)


def behaviour():
    """The exact noise field of N(CENTRE, VARIANCE) in one dimension; training visits one level alone."""
    p = path.vp()._replace(sample_t=lambda key, shape: jnp.full(shape, LEVEL))

    def eps(x, t, s):
        alpha, sigma = path.coefficients(p, t)
        return sigma * (x - alpha * CENTRE) / (alpha**2 * VARIANCE + sigma**2)

    return Field(eps, p, jnp.array([LEVEL, 0.0]), 1)


def push(a, power):
    """E sigma^p (eps_mu(x) - eps) at x noised from a: a multiple of a slope of -log N(alpha m, alpha^2 v + sigma^2)."""
    p = path.vp()
    alpha, sigma = float(p.alpha(jnp.array(LEVEL))), float(p.sigma(jnp.array(LEVEL)))
    return sigma ** (power + 1) * alpha * (a - CENTRE) / (alpha**2 * VARIANCE + sigma**2)


def losses(kb, a, power, slope=0.0):
    """Published and composed actor losses of a policy that always produces the action a."""
    actor = Deterministic(lambda s: jnp.full((*s.shape[:-1], 1), a), 1)
    critic = lambda s, x: jnp.stack([slope * x[..., 0], 3.0 * slope * x[..., 0] + 1.0])  # noqa: E731
    models = Models(actor=actor, behaviour=behaviour(), target_critic=critic)
    batch = Batch(s=jnp.zeros((B, 1)), a=jnp.zeros((B, 1)))
    hyper = {"q_weight": BETA, "sigma_power": power, "actor_critic": "target", "expectile": 0.7, "discount": 0.9}
    composed = compose("cell", kb.nodes["srpo"].coordinates, hyper)
    yield srpo.actor_loss(models, batch, KEY, q_weight=BETA, sigma_power=power)[0]
    yield composed.losses["actor"](models, batch, KEY)[0]


@pytest.mark.parametrize("power", [0, 2])
@pytest.mark.parametrize("a", [-1.0, 1.5])
def test_the_gradient_is_the_slope_of_the_noised_log_density_in_closed_form(kb, a, power):
    slopes = jax.jacobian(lambda a: jnp.stack(list(losses(kb, a, power))))(a)
    np.testing.assert_allclose(slopes, push(a, power), rtol=0.02)


def test_the_value_enters_with_the_mean_slope_of_its_heads(kb):
    slopes = jax.jacobian(lambda a: jnp.stack(list(losses(kb, a, 2, slope=0.7))))(CENTRE)
    np.testing.assert_allclose(slopes, -BETA * 2.0 * 0.7, rtol=0.02)


def test_no_derivative_of_the_model_is_read(kb):
    # Through the model the gradient would be that of half its squared error: another factor 1 - k of the residual.
    p = path.vp()
    alpha, sigma = float(p.alpha(jnp.array(LEVEL))), float(p.sigma(jnp.array(LEVEL)))
    jacobian = sigma * alpha / (alpha**2 * VARIANCE + sigma**2)
    slopes = jax.jacobian(lambda a: jnp.stack(list(losses(kb, a, 0))))(1.5)
    assert np.all(np.abs(slopes - jacobian * push(1.5, 0)) > 0.2 * abs(push(1.5, 0)))
