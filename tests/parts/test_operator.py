"""Operators by hand-computed numbers."""

import jax
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


@pytest.mark.parametrize(
    "temperature, want", [(0.5, [0.0, 0.0, 1.0]), (1.0, [0.0, 1 / 6, 5 / 6]), (4.0, [2 / 9, 11 / 36, 17 / 36])]
)
def test_linear_weights_average_one_before_they_are_divided_by_n(temperature, want):
    # 1 + (q - c) / lambda sums to 3: c = 2 above 3 - 1.5, c = 1.5 over {1, 3}, c = 4/3 over all
    w = operator.linear(temperature=temperature).weights(Q[:, :1])
    np.testing.assert_allclose(w[:, 0], want, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.2, 0.6, 3.0])
def test_square_weights_solve_their_own_equation(temperature):
    w = np.asarray(operator.square(temperature=temperature).weights(Q), float)
    np.testing.assert_allclose(w.sum(0), 1.0, rtol=1e-5)
    for column, q in zip(w.T, np.asarray(Q).T, strict=True):
        c = q - 2 * temperature * (np.sqrt(3 * column) - 1)  # N w = (1 + (q - c) / 2 lambda)^2 where positive
        np.testing.assert_allclose(c[column > 0], c[q.argmax()], atol=1e-5)
        assert (1 + (q - c[q.argmax()])[column == 0] / (2 * temperature) <= 1e-6).all()


def test_square_weights_of_two_candidates_by_hand():
    # N w = (1 + (q - c) / 2 lambda)^2 for q = 0, 1 and 2 lambda = 1: x^2 + (x + 1)^2 = 2 has x = (sqrt 3 - 1) / 2
    w = operator.square(temperature=0.5).weights(jnp.array([[0.0], [1.0]]))
    np.testing.assert_allclose(w[:, 0], [(2 - 3**0.5) / 4, (2 + 3**0.5) / 4], rtol=1e-5)


@pytest.mark.parametrize("name", ["linear", "square"])
def test_all_cut_weights_agree_to_first_order_with_the_exponential(name):
    w = getattr(operator, name)(temperature=1e2).weights(Q)
    np.testing.assert_allclose(w, operator.exponential(temperature=1e2).weights(Q), atol=3e-4)


@pytest.mark.parametrize("name", ["linear", "square"])
def test_cut_weights_of_one_candidate_are_normalised_over_the_batch(name):
    op = getattr(operator, name)(temperature=1.0)
    q = jnp.array([[0.0, 1.0, 3.0]])
    np.testing.assert_allclose(op.weights(q)[0], 3 * op.weights(q.T)[:, 0], rtol=1e-6)


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


@pytest.mark.parametrize(
    "ratio, advantage, want",
    [(1.5, 2.0, 2.4), (0.5, 2.0, 1.0), (0.5, -2.0, -2.25), (1.5, -2.0, -4.25), (1.0, -2.0, -2.0)],
)
def test_the_asymmetric_surrogate_penalises_bad_actions_by_a_square(ratio, advantage, want):
    # 0.5 (-2) - 2 / 0.4 (0.5)^2 = -2.25 and 1.5 (-2) - 2 / 0.4 (0.5)^2 = -4.25
    surrogate = operator.asymmetric_trust_region(clip=0.2).surrogate
    np.testing.assert_allclose(surrogate(jnp.log(jnp.array([[ratio]])), jnp.array([advantage]))[0, 0], want, rtol=1e-5)


@pytest.mark.parametrize("advantage, stationary", [(-1.5, 0.8), (-0.1, 0.8)])
def test_the_penalty_holds_the_ratio_of_bad_actions_at_one_minus_the_clip(advantage, stationary):
    surrogate = operator.asymmetric_trust_region(clip=0.2).surrogate
    slope = jax.grad(lambda r: surrogate(jnp.log(r)[None, None], jnp.array([advantage]))[0, 0])
    assert abs(slope(jnp.array(stationary))) < 1e-5
    assert slope(jnp.array(0.5)) > 0 > slope(jnp.array(1.0))
