"""A loss to audit: Q-score matching with the sign of the gradient of Q turned round."""

import jax
import jax.numpy as jnp


def loss(score_fn, sigma_t, q_heads_fn, x_t, t, s, temperature):
    """Regression of the score on -grad Q / temperature (it should be +), in units of the noise level."""

    def mean_q(a, state):
        return jnp.mean(q_heads_fn(state, a))

    slope = jax.vmap(jax.grad(mean_q))(x_t, s)
    wrong = -slope / temperature / sigma_t
    return jnp.mean(sigma_t**2 * (score_fn(x_t, t, s) - jax.lax.stop_gradient(wrong)) ** 2)
