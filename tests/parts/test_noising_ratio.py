"""Chains against noising chains: the Euler-Maruyama step, its undoing, and the ratio that bounds a log-density."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.compose import compose
from flowrl_kb.kb.cells import violations
from flowrl_kb.parts import likelihood, path, sampler
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import dime

KEY, B = jax.random.key(0), 4000
GRID = jnp.array([0.9, 0.6, 0.3, 0.0])
ALPHA = np.cos(0.5 * np.pi * np.array(GRID))
H = np.log(ALPHA[1:] / ALPHA[:-1])
S = jnp.zeros((B, 1))


def field(std=None, noise=0.0, kind="euler-maruyama"):
    """The exact noise of N(0, std^2) in one dimension, or the same noise everywhere."""
    p = path.vp()

    def eps(x, t, s):
        alpha, sigma = path.coefficients(p, t)
        return jnp.full_like(x, noise) if std is None else sigma * x / ((alpha * std) ** 2 + sigma**2)

    return Field(eps, p, GRID, 1, sampler=kind)


def test_a_step_follows_the_reversed_drift_with_the_noise_of_the_forward_one():
    sigma = np.sin(0.5 * np.pi * np.array(GRID))
    for k in range(3):
        mean, std = field(noise=0.4).step(jnp.array([0.7]), k, jnp.zeros(1))
        np.testing.assert_allclose(mean[0], 0.7 + H[k] * (0.7 - 2 * 0.4 / sigma[k]), rtol=1e-4)
        np.testing.assert_allclose(std, np.sqrt(2 * H[k]), rtol=1e-4)


def test_small_steps_are_those_of_the_exponential_form():
    """Means agree to first order in the step: their difference shrinks by four where the step is halved."""

    def apart(step):
        grid = jnp.array([0.5, 0.5 - step])
        fields = (replace(field(0.6, kind=kind), grid=grid) for kind in ("euler-maruyama", "forward-variance"))
        return float(abs(np.subtract(*(f.step(jnp.array([0.7]), 0, jnp.zeros(1))[0][0] for f in fields))))

    assert apart(0.1) / apart(0.05) == pytest.approx(4.0, rel=0.25)


def test_a_noising_step_of_the_path_reaches_its_variance():
    sigma = np.sin(0.5 * np.pi * np.array(GRID))
    for k in range(3):
        mean, std = sampler.noising(field(kind="all-stochastic"), jnp.ones(1), k)
        np.testing.assert_allclose((mean[0] * sigma[k + 1]) ** 2 + std[0] ** 2, sigma[k] ** 2, rtol=1e-4)
        np.testing.assert_allclose(mean[0] * ALPHA[k + 1], ALPHA[k], rtol=1e-4)


def test_the_ratio_of_the_stationary_chain_telescopes():
    """With the field of N(0, 1) both kernels are N((1 - h) x, 2 h): log N(x_0) + sum h (x_u^2 - x_t^2) / 4 is left."""
    a, ratio = likelihood.noising_ratio(field(1.0), KEY, S)
    x = np.asarray(field(1.0).chain(KEY, S))[..., 0]
    squares = x**2
    want = -0.5 * squares[-1] - 0.5 * np.log(2 * np.pi) + (H[:, None] * (squares[1:] - squares[:-1]) / 4).sum(0)
    np.testing.assert_allclose(a[:, 0], x[-1], rtol=1e-6)
    np.testing.assert_allclose(ratio, want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["euler-maruyama", "all-stochastic"])
def test_the_mean_ratio_is_at_least_the_mean_log_density(kind):
    a, ratio = likelihood.noising_ratio(field(0.5, kind=kind), KEY, S)
    entropy = 0.5 * np.log(2 * np.pi * np.e * float(jnp.var(a)))  # the chain is linear, so that its law is Gaussian
    assert float(jnp.mean(ratio)) > -entropy + 0.01


def test_published_costs_have_the_mean_of_the_ratio():
    _, running, terminal = dime.simulate(field(0.5), S, jax.random.key(1))
    _, ratio = likelihood.noising_ratio(field(0.5), KEY, S)
    np.testing.assert_allclose(jnp.mean(running + terminal), jnp.mean(ratio), atol=0.06)


def test_a_fixed_reference_adds_the_divergences_of_all_steps(kb):
    """Constant noises 0.4 against 0.1 and Q = 3: L = -3 + lambda sum_k beta_k 0.09 / (2 (1 - beta_k) (1 - abar_k))."""
    cell = dict(kb.nodes["bdpo"].coordinates)
    changes = {"intermediate-value": "backprop", "direction": "path", "source": "current", "aggregation": "mean"}
    cell |= changes
    assert not violations(kb, cell)
    hyper = {"temperature": 0.7, "discount": 0.9, "best_of": 2, "backup_of": 2, "pessimism": 0.5}
    method = compose("cell", cell, hyper)
    critic = lambda s, a: jnp.full((2, *a.shape[:-1]), 3.0)  # noqa: E731
    models = Models(
        actor=field(noise=0.4, kind="forward-variance"),
        behaviour=field(noise=0.1, kind="forward-variance"),
        critic=critic,
    )
    beta = 1 - (ALPHA[:-1] / ALPHA[1:]) ** 2
    kl = beta / (2 * (1 - beta) * (1 - ALPHA[:-1] ** 2)) * 0.09
    got = method.losses["actor"](models, Batch(s=S, a=jnp.zeros((B, 1))), KEY)[0]
    np.testing.assert_allclose(got, -3.0 + 0.7 * kl.sum(), rtol=1e-4)
