"""Operators by hand-computed numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import operator

Q = jnp.array([[0.0, 1.0], [1.0, 1.0], [3.0, -1.0]])


def test_exponential_weights_are_a_softmax_over_candidates():
    w = operator.exponential(temperature=2.0).weights(Q)
    np.testing.assert_allclose(w.sum(0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(w[2, 0] / w[0, 0], np.exp(1.5), rtol=1e-5)


def test_exponential_of_one_candidate_is_normalised_over_the_batch():
    w = operator.exponential(temperature=1.0).weights(Q[:1])
    np.testing.assert_allclose(w.mean(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(w[0, 1] / w[0, 0], np.e, rtol=1e-5)


def test_a_weight_clip_switches_to_unnormalised_weights():
    w = operator.exponential(temperature=1.0, weight_clip=5.0).weights(Q)
    np.testing.assert_allclose(w[:, 0], [1.0, np.e, 5.0], rtol=1e-5)


def test_linear_weights_vanish_below_the_cut():
    w = operator.linear(temperature=0.5).weights(Q[:, :1])  # mean 4/3: raw 1 + (q - 4/3)/0.5
    np.testing.assert_allclose(w[:, 0], [0.0, 0.0714286, 0.9285714], atol=1e-4)


def test_rank_ignores_increasing_maps():
    w = operator.rank().weights
    np.testing.assert_array_equal(w(Q), w(jnp.exp(Q)))


@pytest.mark.parametrize(
    "ratio, advantage, want", [(1.5, 2.0, 2.4), (0.5, 2.0, 1.0), (0.5, -2.0, -1.6), (1.5, -2.0, -3.0)]
)
def test_the_clipped_surrogate_is_pessimistic(ratio, advantage, want):
    surrogate = operator.trust_region(clip=0.2).surrogate(jnp.log(jnp.array([[ratio]])), jnp.array([advantage]))
    np.testing.assert_allclose(surrogate[0, 0], want, rtol=1e-5)


def test_the_clip_grows_from_its_base_along_the_chain():
    surrogate = operator.trust_region(clip=0.4, clip_base=0.1, clip_rate=3.0).surrogate
    got = surrogate(jnp.log(jnp.full((5, 1), 9.0)), jnp.ones(1))[:, 0]
    np.testing.assert_allclose(got[jnp.array([0, 4])], [1.1, 1.4], rtol=1e-5)
    assert bool((jnp.diff(got) > 0).all())
