"""Aggregations of critic heads: values, and a gradient that survives recomputation."""

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb import compose
from flowrl_kb.certify import subject
from flowrl_kb.kb.load import load
from flowrl_kb.parts import aggregation


def test_the_smallest_head_and_its_gradient_are_those_of_the_chosen_head():
    def heads(a):
        return jnp.stack([jnp.sum(a**2, -1), 1.0 - jnp.sum(a, -1), 2.0 + 0.0 * a[..., 0]])

    a = jax.random.normal(jax.random.key(0), (64, 2))
    smallest = lambda a: aggregation.min(heads(a), None)[0]  # noqa: E731
    np.testing.assert_array_equal(smallest(a), np.asarray(heads(a)).min(0))
    got = jax.grad(lambda a: smallest(a).sum())(a)
    each = np.stack([2.0 * np.asarray(a), -np.ones((64, 2)), np.zeros((64, 2))])
    chosen = np.asarray(heads(a)).argmin(0)
    assert len(set(chosen.tolist())) > 1, "one head would always win"
    np.testing.assert_allclose(got, each[chosen, np.arange(64)], rtol=1e-6)


def test_the_update_that_once_was_not_finite_is():
    """iDEM's composed update differentiates the smallest head inside a map over replicates, where XLA recomputes it."""
    node = load().nodes["idem"]
    assert "actor" in compose.of_node(node, True, subject.laboratory_hyper(node)).losses
    assert np.isfinite(subject.fingerprint(node, "actor", composed=True).take(64).mean).all()


def test_the_lower_bound_is_the_mean_less_deviations():
    heads = jnp.array([[1.0], [3.0], [8.0]])  # mean 4, variance (9 + 1 + 16) / 3
    got, rest = aggregation.lcb(heads, None, pessimism=0.5)
    np.testing.assert_allclose(got, 4.0 - 0.5 * np.sqrt(26 / 3), rtol=1e-6)
    np.testing.assert_allclose(aggregation.lcb(heads[:2], None, pessimism=1.0)[0], 1.0, rtol=1e-6)  # two heads: min
    assert rest is heads


def test_the_lower_bound_has_a_gradient_where_heads_agree():
    bound = lambda heads: aggregation.lcb(heads, None, pessimism=1.0)[0].sum()  # noqa: E731
    np.testing.assert_allclose(jax.grad(bound)(jnp.ones((2, 1)))[:, 0], [0.5, 0.5])
    np.testing.assert_allclose(jax.grad(bound)(jnp.array([[1.0], [2.0]]))[:, 0], [1.0, 0.0], atol=1e-6)  # the minimum
