"""The denoising error of the data's model on produced actions, against Gaussian data in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.compose import compose
from flowrl_kb.parts import loss_space, path
from flowrl_kb.parts.critic import in_sample
from flowrl_kb.parts.policy import Field, Gaussian
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import dtql, dtql_antmaze

VARIANCE, LEVEL, B = 0.3, 0.8, 200_000
KEY = jax.random.key(0)


def behaviour(name="ve"):
    """The exact noise field of N(0, VARIANCE) in one dimension; training visits one level alone."""
    p = getattr(path, name)()._replace(sample_t=lambda key, shape: jnp.full(shape, LEVEL))

    def eps(x, t, s):
        alpha, sigma = path.coefficients(p, t)
        return sigma * x / (alpha**2 * VARIANCE + sigma**2)

    return Field(eps, p, jnp.array([LEVEL, 0.0]), 1)


def error(a):
    """E |D(a + sigma eps) - a|^2 / c_out^2 at one action: D = k x with k = VARIANCE / (VARIANCE + sigma^2)."""
    k, c_out = VARIANCE / (VARIANCE + LEVEL**2), LEVEL * 0.5 / np.sqrt(LEVEL**2 + 0.25)
    return ((1 - k) ** 2 * a**2 + k**2 * LEVEL**2) / c_out**2


def test_the_preconditioned_weight_is_one_over_c_out_squared_of_the_denoised_error():
    t = jnp.array([0.2, LEVEL])
    want = loss_space.x0(path.ve(), t) * (t**2 + 0.25) / (t**2 * 0.25)
    np.testing.assert_allclose(loss_space.preconditioned(path.ve(), t), want, rtol=1e-6)


def losses(kb, a, q=0.0):
    """Published and composed actor losses of a policy that always produces the action a."""
    actor = Gaussian(lambda s: (jnp.full((*s.shape[:-1], 1), a), jnp.full((*s.shape[:-1], 1), -20.0)), 1)
    critic = lambda s, x: jnp.stack([q * x[..., 0], q * x[..., 0] + 1.0])  # noqa: E731
    models = Models(actor=actor, behaviour=behaviour(), critic=critic)
    batch = Batch(s=jnp.zeros((B, 1)), a=jnp.zeros((B, 1)))
    hyper = {"bc_weight": 2.0, "expectile": 0.7, "best_of": 2, "acting_temperature": 1.0, "discount": 0.9}
    composed = compose("cell", kb.nodes["dtql"].coordinates, hyper)
    yield dtql.actor_loss(models, batch, KEY, bc_weight=2.0)[0]
    yield composed.losses["actor"](models, batch, KEY)[0]


@pytest.mark.parametrize("a", [0.0, 1.5])
def test_the_trust_region_is_the_error_in_closed_form(kb, a):
    for loss in losses(kb, a, q=0.4):
        np.testing.assert_allclose(loss, 2.0 * error(a) - 0.4 * a, rtol=0.02)


def test_the_gradient_passes_through_the_model_and_its_target(kb):
    # d/da of the error: with the input held it would be 2 (1 - k) a / c_out^2, larger by 1 / (1 - k).
    slopes = jax.jacobian(lambda a: jnp.stack(list(losses(kb, a))))(1.5)
    k, c_out = VARIANCE / (VARIANCE + LEVEL**2), LEVEL * 0.5 / np.sqrt(LEVEL**2 + 0.25)
    np.testing.assert_allclose(slopes, 2.0 * 2 * (1 - k) ** 2 * 1.5 / c_out**2, rtol=0.03)


def test_data_actions_are_kept_likely_beside_the_trust_region(kb):
    """A unit Gaussian around m beside one data action: E error at m^2 + 1 in the place of a^2, and (a - m)^2 / 2."""
    m, a, weight = 0.5, -0.4, 0.3
    actor = Gaussian(lambda s: (jnp.full((*s.shape[:-1], 1), m), jnp.zeros((*s.shape[:-1], 1))), 1)
    models = Models(actor=actor, behaviour=behaviour(), critic=lambda s, x: jnp.zeros((2, len(x))))
    batch = Batch(s=jnp.zeros((B, 1)), a=jnp.full((B, 1), a))
    hyper = {"bc_weight": 2.0, "likelihood_weight": weight}
    rest = {"expectile": 0.7, "best_of": 2, "acting_temperature": 1.0, "discount": 0.9}
    composed = compose("cell", kb.nodes["dtql:antmaze"].coordinates, hyper | rest).losses["actor"]
    want = 2.0 * error(np.sqrt(m**2 + 1.0)) + weight * 0.5 * ((a - m) ** 2 + np.log(2.0 * np.pi))
    for loss in (composed(models, batch, KEY)[0], dtql_antmaze.actor_loss(models, batch, KEY, **hyper)[0]):
        np.testing.assert_allclose(loss, want, rtol=0.01)


def test_the_state_value_may_read_the_online_critic():
    flat = lambda q: lambda s, a: jnp.full((2, len(s)), q)  # noqa: E731
    models = Models(critic=flat(1.0), target_critic=flat(3.0), value=lambda s: jnp.zeros(len(s)))
    batch = Batch(s=jnp.zeros((4, 1)), a=jnp.zeros((4, 1)))
    for which, want in (("online", 0.7), ("target", 0.7 * 9)):
        made = in_sample(None, lambda *_: None, expectile=0.7, value_critic=which)
        np.testing.assert_allclose(made["value"](models, batch, KEY)[0], want, rtol=1e-6)
    np.testing.assert_allclose(dtql.value_loss(models, batch, KEY, expectile=0.7)[0], 0.7, rtol=1e-6)
