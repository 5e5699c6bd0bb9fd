"""The coupled sampler: its inverse, its constant determinant, and its density against a Gaussian worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import likelihood, path, sampler
from flowrl_kb.parts.policy import Field
from flowrl_kb.published import genpo

D, STEPS, S = 3, 5, jnp.array([0.4])


def bent(x, t, s):
    """A velocity with curvature and dependence on the state, the time and other coordinates."""
    return jnp.sin(2.0 * x) + jnp.cos(3.0 * t)[..., None] * jnp.roll(x, 1, axis=-1) ** 2 + s


def field(net, mixing, steps=STEPS, dim=D):
    grid = jnp.linspace(1.0, 0.0, steps + 1)
    return Field(net, path.linear(), grid, dim, "velocity", "coupled-euler", mixing=mixing)


@pytest.mark.parametrize("mixing", [0.95, 0.7])
def test_the_chain_is_undone(mixing):
    f, noise = field(bent, mixing), jax.random.normal(jax.random.key(0), (2 * D,))
    last = sampler.run(f, noise, S, None)[-1]
    assert jnp.abs(last - noise).max() > 0.3
    np.testing.assert_allclose(sampler.undone(f, last, S), noise, atol=2e-4)


@pytest.mark.parametrize("mixing", [0.95, 0.7])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_log_determinant_of_the_chain_depends_on_the_mixing_alone(mixing, seed):
    """slogdet of the whole Jacobian is 2 d K log p at any noise, for a curved field."""
    f, noise = field(bent, mixing), jax.random.normal(jax.random.key(seed), (2 * D,))
    jacobian = jax.jacobian(lambda z: sampler.run(f, z, S, None)[-1])(noise)
    np.testing.assert_allclose(jnp.linalg.slogdet(jacobian)[1], 2 * D * STEPS * np.log(mixing), rtol=1e-4)
    # control: without the mixing the chain keeps volumes although its steps are far from the identity
    plain = jax.jacobian(lambda z: sampler.run(field(bent, 1.0), z, S, None)[-1])(noise)
    assert jnp.abs(plain - jnp.eye(2 * D)).max() > 0.3
    np.testing.assert_allclose(jnp.linalg.slogdet(plain)[1], 0.0, atol=1e-4)


def test_the_density_of_one_linear_step_is_that_of_a_gaussian_worked_out_by_hand():
    """d = 1, v = c x, h = -1, no mixing: z' = z - c y, y' = y - c z' is linear, x = M noise, so x ~ N(0, M M^T)."""
    c = 0.5
    f = field(lambda x, t, s: c * x, 1.0, steps=1, dim=1)
    m = np.array([[1.0, -c], [-c, 1.0 + c**2]])
    x = np.array([0.3, -0.8])
    quadratic = x @ np.linalg.solve(m @ m.T, x)
    want = -0.5 * quadratic - 0.5 * np.log(np.linalg.det(2 * np.pi * m @ m.T))
    np.testing.assert_allclose(likelihood.log_density(f, jnp.array(x), S), want, rtol=1e-5)


def test_the_density_without_a_field_is_that_of_the_mixing():
    """v = 0: x = M^K noise with M the mixing matrix (p, 1 - p; (1 - p) p, p + (1 - p)^2) on each coordinate."""
    p, f = 0.8, field(lambda x, t, s: jnp.zeros_like(x), 0.8, dim=1)
    m = np.linalg.matrix_power(np.array([[p, 1 - p], [(1 - p) * p, p + (1 - p) ** 2]]), STEPS)
    x = np.array([0.5, 0.1])
    want = -0.5 * x @ np.linalg.solve(m @ m.T, x) - 0.5 * np.log(np.linalg.det(2 * np.pi * m @ m.T))
    np.testing.assert_allclose(likelihood.log_density(f, jnp.array(x), S), want, rtol=1e-4)


def test_the_published_density_by_jacobians_is_the_composed_one_by_the_constant():
    f, x = field(bent, 0.95), jax.random.normal(jax.random.key(2), (4, 2 * D))
    s = jnp.linspace(-1.0, 1.0, 4)[:, None]
    np.testing.assert_allclose(genpo.log_likelihood(f, x, s), likelihood.log_density(f, x, s), rtol=1e-4)


def test_the_action_is_the_mean_of_the_copies():
    f = field(bent, 0.95)
    np.testing.assert_allclose(f.action(jnp.array([1.0, 2.0, 3.0, 3.0, 2.0, 5.0])), [2.0, 2.0, 4.0])
    assert f.chain(jax.random.key(0), jnp.zeros((7, 1))).shape == (STEPS + 1, 7, 2 * D)
    assert f.sample(jax.random.key(0), jnp.zeros((7, 1)), (4,)).shape == (4, 7, D)
