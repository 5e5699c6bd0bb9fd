"""The log-density that is integrated from denoising errors, against a Gaussian in closed form."""

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts import path as paths
from flowrl_kb.parts.critic import denoising_log_prob
from flowrl_kb.parts.policy import Field

VARIANCE = 0.3
PATH = paths.vp()


def _exact(x, t, s):
    """E[eps | x] for actions from N(0, VARIANCE I)."""
    alpha, sigma = PATH.alpha(t)[..., None], PATH.sigma(t)[..., None]
    return sigma * x / (alpha**2 * VARIANCE + sigma**2)


def _estimate(levels, net=_exact):
    field = Field(net, PATH, jnp.linspace(0.999, 0.001, levels + 1), 2)
    a = jnp.array([[0.0, 0.0], [0.4, -0.3], [1.0, 0.5]])
    return denoising_log_prob(field, a, jnp.zeros((3, 1)), jax.random.key(0), 2_500), a


def test_an_exact_field_on_fine_levels_gives_the_gaussian_density():
    got, a = _estimate(100)  # the sums alone are 0.025 off at the centre; the noises add a deviation of 0.05
    want = -jnp.sum(a**2, -1) / (2 * VARIANCE) - jnp.log(2 * jnp.pi * VARIANCE)
    np.testing.assert_allclose(got, want, atol=0.2)


def test_another_field_has_another_density():
    got, a = _estimate(100, lambda x, t, s: _exact(x, t, s) + 0.3)
    want = -jnp.sum(a**2, -1) / (2 * VARIANCE) - jnp.log(2 * jnp.pi * VARIANCE)
    assert bool((jnp.abs(got - want) > 0.3).all())
