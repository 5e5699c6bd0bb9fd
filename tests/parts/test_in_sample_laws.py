"""State values that are normalisers: their minimisers against the constants of the operators, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import critic, operator
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import eql, sql

Q = jnp.array([0.0, 1.0, 3.0])
BATCH = Batch(s=jnp.zeros((3, 1)), a=jnp.zeros((3, 1)))


def losses(part, published, temperature):
    """Composed and published loss as functions of a state value that is the same in all states."""

    def models(v):
        return Models(target_critic=lambda s, a: jnp.stack([Q, Q + 1.0]), value=lambda s: jnp.full(3, v))

    composed = part(None, None, temperature=temperature)["value"]
    return (
        lambda v: composed(models(v), BATCH, None)[0],
        lambda v: published.value_loss(models(v), BATCH, None, temperature=temperature)[0],
    )


@pytest.mark.parametrize("temperature, value", [(0.5, 2.0), (1.0, 1.5), (4.0, 4 / 3)])
def test_the_linear_value_makes_the_linear_weights_average_one(temperature, value):
    # 1 + (q - v) / lambda sums to 3: v = 2 above 3 - 1.5, v = 1.5 over {1, 3}, v = 4/3 over all
    for loss in losses(critic.in_sample_linear, sql, temperature):
        assert float(jax.grad(loss)(value)) == pytest.approx(0.0, abs=1e-5)
        assert float(jax.grad(loss)(value - 0.3)) < -0.01 and float(jax.grad(loss)(value + 0.3)) > 0.01
    weights = operator.linear(temperature=temperature, weight_clip=100.0).weights(Q[None] - value)
    np.testing.assert_allclose(weights[0], 3.0 * operator.linear(temperature=temperature).weights(Q), atol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_exponential_value_is_the_soft_maximum(temperature):
    value = temperature * np.log(np.mean(np.exp(np.asarray(Q) / temperature)))
    for loss in losses(critic.in_sample_exponential, eql, temperature):
        assert float(jax.grad(loss)(value)) == pytest.approx(0.0, abs=1e-5)
        assert float(jax.grad(loss)(value - 0.3)) < -0.01 and float(jax.grad(loss)(value + 0.3)) > 0.01


def test_published_values_by_hand():
    # alpha = 1, V = 2: delta = 0, 1/2, 3/2, so (0 + 1/4 + 9/4) / 3 + 2; and (e^-2 + e^-1 + e) / 3 + 2
    assert float(losses(critic.in_sample_linear, sql, 2.0)[1](2.0)) == pytest.approx(2.5 / 3 + 2.0)
    want = (np.exp(-2.0) + np.exp(-1.0) + np.e) / 3 + 2.0
    assert float(losses(critic.in_sample_exponential, eql, 1.0)[1](2.0)) == pytest.approx(want)


def test_the_value_may_have_a_temperature_of_its_own():
    u = jnp.array([-1.0, 0.5])
    models = Models(target_critic=lambda s, a: u[None], value=lambda s: jnp.zeros(2))
    loss = critic.in_sample_exponential(None, None, temperature=0.2, value_temperature=2.0)["value"]
    assert float(loss(models, BATCH, None)[0]) == pytest.approx((np.exp(-0.5) + 0.5 + np.exp(0.25) - 0.25) / 2)


def test_learned_linear_weights_are_cut_on_both_sides():
    w = operator.linear(temperature=2.0, weight_clip=3.0).weights(jnp.array([[-5.0, -2.0, 0.0, 1.0, 9.0]]))
    np.testing.assert_allclose(w[0], [0.0, 0.0, 1.0, 1.5, 3.0])
