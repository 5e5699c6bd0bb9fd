"""Where EDP's actor loss rests when Q is affine: the noise of the data moved by (eta d / 2 |Q|)(sigma / alpha) g."""

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts import path as paths
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import edp

SLOPE, OFFSET, ETA, B, D = jnp.array([0.7, -0.4]), 50.0, 2.0, 4096, 2


def test_the_gradient_vanishes_at_the_shifted_noise_for_an_affine_q():
    """Data all at one point m: the exact noise of x_t is (x - alpha m) / sigma, and Q = g . a + b."""
    path, m = paths.vp(), jnp.array([0.3, -0.2])
    batch = Batch(s=jnp.zeros((B, 1)), a=jnp.broadcast_to(m, (B, D)))

    def critic(s, a):
        return jnp.stack([a @ SLOPE + OFFSET] * 2)

    def loss(theta):
        def net(x, t, s):
            alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
            return (x - alpha * m) / sigma - theta * sigma / alpha * SLOPE

        models = Models(actor=Field(net, path, jnp.linspace(0.9, 0.0, 3), D), critic=critic)
        return edp.actor_loss(models, batch, jax.random.key(0), q_weight=ETA)[0]

    # mean |Q| is that at the denoised action, m + theta (sigma / alpha)^2 g; the large offset makes it nearly b
    size = OFFSET + float(m @ SLOPE)
    want = ETA * D / (2 * size)
    slopes = [float(jax.grad(loss)(jnp.array(scale * want))) for scale in (0.0, 1.0, 2.0)]
    assert slopes[0] < 0 < slopes[2]
    np.testing.assert_allclose(slopes[1] / slopes[2], 0.0, atol=0.05)
