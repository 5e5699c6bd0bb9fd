"""The two densities that fits of DACER's mixture use, against SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from flowrl_kb.parts.temperature_control import _gaussian
from flowrl_kb.published.dacer import chain_rule


@pytest.mark.parametrize("d", [1, 2, 6])
def test_both_log_densities_are_those_of_correlated_gaussians(d):
    random = np.random.default_rng(d)
    x, mean, root = random.normal(size=(5, d)), random.normal(size=(3, d)), random.normal(size=(3, d, d))
    covariance = root @ root.swapaxes(1, 2) + 0.1 * np.eye(d)
    want = np.stack([multivariate_normal(m, c).logpdf(x) for m, c in zip(mean, covariance, strict=True)], axis=1)
    by_chain = chain_rule(jnp.asarray(x[:, None] - mean), jnp.asarray(covariance))
    by_elimination = np.stack([_gaussian(x, m, c) for m, c in zip(mean, jnp.asarray(covariance), strict=True)], axis=1)
    np.testing.assert_allclose(by_chain, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(by_elimination, want, rtol=1e-4, atol=1e-4)
