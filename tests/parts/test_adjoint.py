"""Adjoint matching on a Gaussian with a linear value, where every object has a closed form in small steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import control, intermediate_value
from flowrl_kb.parts.path import linear
from flowrl_kb.parts.policy import Field

STD, SLOPE = 0.6, jnp.array([0.8, -0.5])
"""Data N(0, STD^2); Q(a) / temperature = SLOPE . a, so that the tilted law is N(STD^2 SLOPE, STD^2)."""
STEPS = 400


def field(mean):
    """The exact noise field of N(mean, STD^2) on a fine grid."""
    path = linear(t_max=0.98)

    def eps(x, t, s):
        alpha, sigma = path.alpha(t)[..., None], path.sigma(t)[..., None]
        return sigma * (x - alpha * mean) / (alpha**2 * STD**2 + sigma**2)

    return Field(eps, path, jnp.linspace(0.98, 0.0, STEPS + 1), 2, "eps", "ode", 0.0, None)


BASE, TILTED = field(jnp.zeros(2)), field(STD**2 * SLOPE)
S = jnp.zeros((4000, 1))
CHAIN = control.chain(TILTED, BASE, jax.random.key(0), S)


def pulled(reference=BASE):
    return intermediate_value.adjoint(reference, lambda a: a @ SLOPE, CHAIN, S, lambda g: 1.0)


def test_the_adjoint_is_the_gradient_of_the_posterior_tilt():
    """grad log E[exp(Q / lambda) | x] = alpha STD^2 / (alpha^2 STD^2 + sigma^2) SLOPE, for every state."""
    t = np.asarray(BASE.grid[:-1])
    share = (1 - t) * STD**2 / ((1 - t) ** 2 * STD**2 + t**2)
    np.testing.assert_allclose(
        pulled(), np.broadcast_to((share[:, None] * SLOPE)[:, None], CHAIN[:-1].shape), atol=0.02
    )


def test_the_process_of_the_tilted_field_ends_at_the_tilted_law_whatever_its_start():
    np.testing.assert_allclose(CHAIN[-1].mean(0), STD**2 * SLOPE, atol=0.03)
    np.testing.assert_allclose(CHAIN[-1].std(0), STD, atol=0.03)
    correlation = np.corrcoef(CHAIN[0][:, 0], CHAIN[-1][:, 0])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(len(S)), "the process remembers its start"


@pytest.mark.parametrize("actor, rests", [(TILTED, True), (BASE, False)])
def test_the_regression_rests_at_the_tilted_field_alone(actor, rests):
    x, t = CHAIN[:-1], jnp.broadcast_to(BASE.grid[:-1, None], CHAIN[:-1].shape[:-1])
    target = BASE.eps(x, t, S) - control.scale(BASE)[:, None, None] * pulled()
    moved = np.asarray(jnp.sqrt(jnp.mean(jnp.square(BASE.eps(x, t, S) - target))))
    error = np.asarray(jnp.sqrt(jnp.mean(jnp.square(actor.eps(x, t, S) - target))))
    assert (error < 0.05 * moved) == rests


@pytest.mark.parametrize("level, exact", [("own", True), ("next", False)])
def test_read_at_its_own_level_the_adjoint_is_the_gradient_of_the_base_chain(level, exact):
    """In large steps of a curved field: d Q(x_K) / d x_k through the steps of the base, noise held."""
    curved = Field(
        lambda x, t, s: jnp.sin(2.0 * x) * (1.0 + t[..., None]),
        linear(),
        jnp.array([0.9, 0.6, 0.2, 0.0]),
        2,
        "velocity",
        "ode",
        0.0,
        None,
    )
    s, q = jnp.zeros((5, 1)), lambda a: jnp.sum(jnp.cos(a), axis=-1)
    noise = jax.random.normal(jax.random.key(1), (3, 5, 2))

    def step(x, k):
        return x + (curved.grid[k] - curved.grid[k + 1]) * control.drift(curved, x, k, s) + 0.3 * noise[k]

    states = [jax.random.normal(jax.random.key(2), (5, 2))]
    for k in range(3):
        states.append(step(states[-1], k))
    carried = intermediate_value.adjoint(curved, q, jnp.stack(states), s, lambda g: 1.0, adjoint_level=level)
    for k in range(3):

        def after(x, k=k):
            for j in range(k, 3):
                x = step(x, j)
            return jnp.sum(q(x))

        assert np.allclose(carried[k], jax.grad(after)(states[k]), atol=1e-5) == exact
