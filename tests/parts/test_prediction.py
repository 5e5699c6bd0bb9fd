"""Predictions are one regression in four coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrl_kb.parts import loss_space, path, prediction

PATHS = {"vp": path.vp(), "ve": path.ve(), "linear": path.linear()}
OUTPUTS = ("eps", "x0", "velocity", "score")


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("output", OUTPUTS)
@settings(max_examples=25, deadline=None)
@given(a=st.floats(-2, 2), noise=st.floats(-3, 3), t=st.floats(0.05, 0.9))
def test_a_perfect_output_gives_back_action_and_noise(name, output, a, noise, t):
    p, a, noise, t = PATHS[name], jnp.array([a]), jnp.array([noise]), jnp.array(t)
    x = path.forward(p, a, t, noise)
    target = prediction.target(output, p, a, noise, t)
    got = getattr(prediction, output)(p, target, x, t)
    np.testing.assert_allclose(got[0], a, atol=3e-3)
    np.testing.assert_allclose(got[1], noise, atol=3e-3)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_loss_space_factors_equal_the_error_measured_there(name, output):
    p, key = PATHS[name], jax.random.PRNGKey(0)
    a, noise, guess = jax.random.normal(key, (3, 64, 2))
    t = jnp.linspace(0.1, 0.85, 64)
    x = path.forward(p, a, t, noise)
    alpha, sigma = path.coefficients(p, t)
    a_guess = (x - sigma * guess) / alpha
    right, wrong = (prediction.target(output, p, u, v, t) for u, v in ((a, noise), (a_guess, guess)))
    there = jnp.sum((right - wrong) ** 2, -1)
    here = getattr(loss_space, output)(p, t) * jnp.sum((noise - guess) ** 2, -1)
    np.testing.assert_allclose(there, here, rtol=2e-3)


def test_velocity_factor_of_any_path_by_symbols():
    """(alpha s' - alpha' s)/alpha for symbolic alpha, sigma: the x-dependence cancels."""
    t = sympy.symbols("t", positive=True)
    alpha, sigma = sympy.Function("alpha")(t), sympy.Function("sigma")(t)
    x, e1, e2 = sympy.symbols("x e1 e2")

    def velocity(e):
        return alpha.diff(t) * (x - sigma * e) / alpha + sigma.diff(t) * e

    factor = (alpha * sigma.diff(t) - alpha.diff(t) * sigma) / alpha
    assert sympy.simplify(velocity(e1) - velocity(e2) - factor * (e1 - e2)) == 0
    linear = factor.subs({alpha: 1 - t, sigma: t}).doit()
    assert sympy.simplify(linear - 1 / (1 - t)) == 0
