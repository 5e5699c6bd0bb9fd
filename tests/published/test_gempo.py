"""GeMPO's normaliser against a root finder, and its weights against the operator's at the declared temperature."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from flowrl_kb.parts import operator
from flowrl_kb.published import gempo

Q = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


@pytest.mark.parametrize("temp", [0.1, 1.0, 20.0])
def test_the_normaliser_makes_the_weights_sum_to_one(temp):
    want = [brentq(lambda nu, q=q: np.maximum(q - nu, 0).sum() - temp, q.min() - temp, q.max()) for q in Q.T]
    np.testing.assert_allclose(gempo.normaliser(jnp.asarray(Q), temp), want, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 5.0])
def test_temp_is_the_temperature_times_the_number_of_candidates(temperature):
    tau = temperature * len(Q)
    w = np.maximum(Q - np.asarray(gempo.normaliser(jnp.asarray(Q), tau)), 0) / tau
    np.testing.assert_allclose(operator.linear(temperature=temperature).weights(jnp.asarray(Q)), w, atol=1e-5)
