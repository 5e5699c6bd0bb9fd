"""Sampler steps against Gaussian conditioning, and chains against known laws."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import path, sampler
from flowrl_kb.parts.policy import Field

MEAN, STD = 0.3, 0.5


def gaussian_field(p, steps, kind, min_std=0.1, top=0.95):
    """The exact noise field of N(MEAN, STD^2)."""

    def eps(x, t, s):
        alpha, sigma = path.coefficients(p, t)
        return sigma * (x - alpha * MEAN) / ((alpha * STD) ** 2 + sigma**2)

    return Field(eps, p, jnp.linspace(top, 0.0, steps + 1), 1, sampler=kind, min_std=min_std)


@pytest.mark.parametrize("name", ["vp", "ve", "linear"])
def test_ancestral_step_is_the_posterior_of_the_forward_chain(name):
    """x_u given (x_t, a): conditioning the joint Gaussian of (x_u, x_t) given a, computed from its covariance."""
    p, t, u, a, x_t = getattr(path, name)(), 0.7, 0.4, 0.8, -0.3
    alpha = {v: float(p.alpha(jnp.array(v))) for v in (t, u)}
    sigma = {v: float(p.sigma(jnp.array(v))) for v in (t, u)}
    ratio = alpha[t] / alpha[u]
    covariance = ratio * sigma[u] ** 2
    gain = covariance / sigma[t] ** 2
    want_mean = alpha[u] * a + gain * (x_t - alpha[t] * a)
    want_std = np.sqrt(sigma[u] ** 2 - gain * covariance)
    net = lambda x, level, s: jnp.full_like(x, (x_t - alpha[t] * a) / sigma[t])  # noqa: E731
    field = Field(net, p, jnp.array([t, u]), 1)
    mean, std = sampler.ancestral(field, jnp.array([x_t]), 0, jnp.zeros(1))
    np.testing.assert_allclose(mean[0], want_mean, rtol=1e-4)
    np.testing.assert_allclose(std[0], want_std, rtol=1e-4)


def test_the_deviation_of_a_step_is_found_by_its_level():
    """What guidance multiplies a gradient with is what the sampler adds in noise."""
    field = gaussian_field(path.vp(), 5, "ancestral")
    steps = [field.step(jnp.zeros((3, 1)), k, jnp.zeros((3, 1)))[1] for k in range(5)]
    got = sampler.posterior_deviation(field, jnp.broadcast_to(field.grid[:-1, None], (5, 3)))
    np.testing.assert_allclose(got, jnp.broadcast_to(jnp.stack(steps), (5, 3, 1)), rtol=1e-6)
    assert float(got[4].max()) == 0.0 and bool((got[:4] > 0.0).all())


def test_langevin_steps_start_in_the_box():
    field = replace(gaussian_field(path.ve(), 5, "langevin"), box=1.0)
    outside, edge = jnp.array([[3.0]]), jnp.array([[1.0]])
    np.testing.assert_array_equal(
        field.step(outside, 1, jnp.zeros((1, 1)))[0], field.step(edge, 1, jnp.zeros((1, 1)))[0]
    )


def test_the_last_ancestral_step_has_no_noise_and_the_floor_restores_it():
    for kind, want in (("ancestral", 0.0), ("all-stochastic", 0.1), ("ode", 0.0)):
        field = gaussian_field(path.vp(), 5, kind)
        _, std = field.step(jnp.zeros((4, 1)), 4, jnp.zeros((4, 1)))
        np.testing.assert_allclose(std, want, atol=1e-6)


def test_the_last_step_is_executed_at_its_mean_and_scored_as_if_it_were_noisy():
    """v of the last step, which ends clean, is sigma_t^2; before it both samplers draw with the same v."""
    scored, drawn = (gaussian_field(path.vp(), 5, kind) for kind in ("mean-last", "forward-variance"))
    s, key = jnp.zeros((3, 1)), jax.random.PRNGKey(2)
    chain = scored.chain(key, s)
    np.testing.assert_array_equal(chain, drawn.chain(key, s))
    (mean, std), (quiet_mean, quiet_std) = (f.step(chain[4], 4, s) for f in (scored, drawn))
    np.testing.assert_array_equal(mean, chain[5])
    np.testing.assert_array_equal(mean, quiet_mean)
    np.testing.assert_allclose(std, scored.path.sigma(scored.grid[4]), rtol=1e-6)
    np.testing.assert_array_equal(quiet_std, 0.0)
    np.testing.assert_array_equal(scored.step(chain[2], 2, s)[1], drawn.step(chain[2], 2, s)[1])
    np.testing.assert_allclose(replace(scored, min_std=0.9).step(chain[4], 4, s)[1], 0.9, rtol=1e-6)


@pytest.mark.parametrize("kind", ["ancestral", "ode"])
@pytest.mark.parametrize("name", ["vp", "linear"])
def test_long_chains_of_the_exact_field_reach_the_law(name, kind):
    field = gaussian_field(getattr(path, name)(), 200, kind, top=0.999)
    a = field.sample(jax.random.PRNGKey(1), jnp.zeros((20_000, 1)))
    assert abs(float(a.mean()) - MEAN) < 0.02
    assert abs(float(a.std()) - STD) < 0.02


def test_variance_exploding_chains_reach_the_law_too():
    field = gaussian_field(path.ve(), 400, "ancestral", top=8.0)
    a = field.sample(jax.random.PRNGKey(1), jnp.zeros((20_000, 1)))
    assert abs(float(a.mean()) - MEAN) < 0.03 and abs(float(a.std()) - STD) < 0.03


def test_a_langevin_step_keeps_the_variance_that_its_size_implies():
    """x' = x - (eta / 2 v) (x - mean) + sqrt(eta) z rests at variance eta / (1 - (1 - eta / 2 v)^2), v that of the law.

    At the last level of the grid eta is min_std^2, at another one it grows with the square of its sigma.
    """
    levels, size = jnp.array([0.4, 0.1, 0.0]), 0.2
    field = gaussian_field(path.ve(), 2, "langevin", min_std=size)
    field = replace(field, grid=levels)
    x = jnp.array([1.7])
    for k, eta in ((0, (size * 4.0) ** 2), (1, size**2)):
        v = STD**2 + float(levels[k]) ** 2
        mean, std = field.step(x, k, jnp.zeros(1))
        np.testing.assert_allclose(mean, MEAN + (1.0 - eta / (2.0 * v)) * (x - MEAN), rtol=1e-5)
        np.testing.assert_allclose(std**2, eta, rtol=1e-5)
    many = replace(field, grid=jnp.append(jnp.full(300, 0.1), 0.0))
    a = many.sample(jax.random.PRNGKey(1), jnp.zeros((20_000, 1)))
    v = STD**2 + 0.01
    rest = size**2 / (1.0 - (1.0 - size**2 / (2.0 * v)) ** 2)
    assert abs(float(a.mean()) - MEAN) < 0.02 and abs(float(a.var()) - rest) < 0.01


def test_langevin_chains_start_uniform():
    field = replace(gaussian_field(path.ve(), 2, "langevin"), box=0.5)
    x = np.sort(np.asarray(sampler.start(field, jax.random.normal(jax.random.PRNGKey(0), (20_000,)))))
    assert np.abs(x - np.linspace(-0.5, 0.5, x.size)).max() < 0.01


def test_denoised_actions_are_clipped_to_the_box():
    net = lambda x, t, s: jnp.full_like(x, -50.0)  # noqa: E731
    field = Field(net, path.vp(), jnp.linspace(0.95, 0.0, 4), 1, box=1.0)
    assert float(jnp.abs(field.sample(jax.random.PRNGKey(0), jnp.zeros((8, 1)))).max()) <= 1.0
