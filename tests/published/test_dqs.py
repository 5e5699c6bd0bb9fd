"""DQS: the estimated score of its candidates, written out."""

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.published import dqs

CURVATURE, CENTRE, TEMPERATURE, SIGMA = 3.0, np.array([0.4, -0.2]), 0.5, 0.7


def bowl(s, a):
    """Q = -CURVATURE |a - CENTRE|^2 / 2 and a larger head."""
    q = -0.5 * CURVATURE * jnp.sum((a - CENTRE) ** 2, axis=-1)
    return jnp.stack([q + 1.0, q])


def test_the_score_is_the_weighted_slope_of_the_smaller_head_at_the_candidates():
    k_x, k_n = jax.random.split(jax.random.key(0))
    x, n = jax.random.normal(k_x, (5, 2)), jax.random.normal(k_n, (6, 5, 2))
    got = dqs.estimated_score(bowl, x, jnp.full((5, 1), SIGMA), n, jnp.zeros((5, 1)), TEMPERATURE)
    a = np.asarray(x + SIGMA * n, float)
    logit = -0.5 * CURVATURE * ((a - CENTRE) ** 2).sum(-1) / TEMPERATURE
    w = np.exp(logit - logit.max(0))
    slope = -CURVATURE * (a - CENTRE) / TEMPERATURE
    np.testing.assert_allclose(got, ((w / w.sum(0))[..., None] * slope).sum(0), rtol=1e-4, atol=1e-5)
