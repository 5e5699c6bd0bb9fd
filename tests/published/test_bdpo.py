"""BDPO's deviation over heads where they agree."""

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.published.bdpo import spread


def test_the_spread_of_heads_has_a_gradient_where_they_agree():
    heads = jnp.array([[0.3, 1.0], [0.3, -2.0]])  # the first state's agree
    np.testing.assert_allclose(spread(heads), [0.0, 1.5], rtol=1e-6)
    slopes = jax.grad(lambda h: jnp.sum(spread(h)))(heads)
    np.testing.assert_allclose(slopes, [[0.0, 0.5], [0.0, -0.5]], atol=1e-6)
    assert not jnp.isfinite(jax.grad(lambda h: jnp.sum(jnp.std(h, axis=0)))(heads)).all(), "the library has one too"
