"""The two densities that fits of DACER's mixture use, against SciPy, and the scalar of acting noise beside them."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from flowrl_kb.errors import UserError
from flowrl_kb.parts.temperature_control import _gaussian, noise
from flowrl_kb.parts.types import Models
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


def test_a_scalar_of_noise_alone_rests_where_the_noise_has_the_target_entropy():
    """-0.9 nats a dimension is the entropy of a deviation exp(-0.9) / sqrt(2 pi e), whatever the actions are."""
    loss = noise(target_entropy=-0.9, entropy_of="noise", noise_std=0.1)["log_temperature"]
    rest = np.exp(-0.9) / np.sqrt(2 * np.pi * np.e)
    for factor, want in ((1.0, 0.0), (2.0, 2 * np.log(2.0))):  # two dimensions, each wider by log 2
        actor = SimpleNamespace(dim=2)
        at = jnp.log(jnp.array(factor * rest / 0.1))
        slope = jax.grad(lambda x: loss(Models(actor=actor, log_temperature=x), None, None)[0])(at)  # noqa: B023
        np.testing.assert_allclose(slope, want, atol=1e-5)
    with pytest.raises(UserError, match="entropy_samples"):
        noise(target_entropy=-0.9)
