"""The sampler of DDPO against that of DPPO, written from another formula."""

import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts.path import vp
from flowrl_kb.parts.policy import Field
from flowrl_kb.published import ddpo, dppo


@pytest.mark.parametrize("box", [None, 0.4])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_ddim_with_unit_eta_is_the_ancestral_step(k, box):
    net = lambda x, t, s: jnp.sin(3.0 * x) + t[..., None]  # noqa: E731
    field = Field(net, vp(), jnp.array([0.9, 0.6, 0.2, 0.0]), 2, min_std=0.05, box=box)
    x, s = jnp.array([[0.3, -1.2], [0.8, 0.1]]), jnp.zeros((2, 1))
    for one, other in zip(ddpo.denoise(field, x, k, s), dppo.transition(field, x, k, s), strict=True):
        np.testing.assert_allclose(one, jnp.broadcast_to(other, one.shape), rtol=2e-4, atol=1e-5)


def test_a_step_by_hand():
    # alpha^2 = 1/4 at t = 2/3 and 3/4 at u = 1/3; x = 1, eps = 0: clean 2, variance (1/4) / (3/4) (1 - 1/3) = 2/9
    field = Field(lambda x, t, s: 0.0 * x, vp(), jnp.array([2 / 3, 1 / 3, 0.0]), 1)
    mean, std = ddpo.denoise(field, jnp.ones((1, 1)), 0, jnp.zeros((1, 1)))
    np.testing.assert_allclose([mean.item(), std.item()], [np.sqrt(3.0), np.sqrt(2 / 9)], rtol=1e-5)
