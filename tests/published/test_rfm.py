"""RFM: posterior means in closed form, the share of least variance, and the two ends of the mix."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.certify import laboratory, presentation, subject
from flowrl_kb.kb.load import load
from flowrl_kb.parts.control_variate import share
from flowrl_kb.parts.types import Batch
from flowrl_kb.published import rfm

CURVATURE, CENTRE, TEMPERATURE = 1.0, jnp.array([0.4, -0.2]), 2.0


def bowl(s, a):
    """Two heads, Q = -CURVATURE |a - CENTRE|^2 / 2 and the same plus one: a Gaussian Boltzmann law."""
    q = -0.5 * CURVATURE * jnp.sum((a - CENTRE) ** 2, axis=-1)
    return jnp.stack([q, q + 1.0])


def posterior_noise(x, alpha, sigma):
    """E[eps | x] for the law exp(Q / lambda) of `bowl`: x is Gaussian with mean alpha CENTRE."""
    return sigma * (x - alpha * CENTRE) / (alpha**2 * TEMPERATURE / CURVATURE + sigma**2)


class Drawn(NamedTuple):
    x: jax.Array
    noises: jax.Array


@pytest.fixture
def drawn():
    k_x, k_n = jax.random.split(jax.random.key(0))
    return Drawn(jax.random.normal(k_x, (5, 2)), jax.random.normal(k_n, (6, 5, 2)))


@pytest.mark.parametrize("sigma", [0.2, 0.4, 0.6])
def test_the_estimated_share_leaves_no_variance_for_a_gaussian_law(drawn, sigma):
    """Slope and noise are then proportional, so every set of candidates gives the posterior mean itself.

    Not where one weight is all but one: the share is then a ratio of rounding errors, for which there is the ridge.
    """
    alpha = 1.0 - sigma
    log_p = partial(rfm.log_target, bowl, jnp.zeros(1), TEMPERATURE, None)
    for x, n in zip(drawn.x, jnp.swapaxes(drawn.noises, 0, 1), strict=True):
        u_0, u_1 = rfm.posterior_endpoints(log_p, x, alpha, sigma, n, "estimated", jnp.inf, 0.0)
        exact = posterior_noise(x, alpha, sigma)
        np.testing.assert_allclose(u_0, exact, atol=2e-4)
        np.testing.assert_allclose(u_1, (x - sigma * exact) / alpha, atol=2e-4)
        noise_only, _ = rfm.posterior_endpoints(log_p, x, alpha, sigma, n, 0.0, jnp.inf, 0.0)
        assert np.abs(noise_only - exact).max() > 1e-2


def estimated(w, n, pull, ratio, **bounds):
    return share(w, n, pull, ratio, control_variate="estimated", **bounds)


def test_the_share_by_hand():
    """w = (1/4, 3/4), n = (0, 4), pull = (1, 1): h = n - 1, n - E n = h - E h = (-3, 1), so 18/16 over 18/16."""
    w, ratio = jnp.array([[0.25], [0.75]]), jnp.full((1, 1, 1), 2.0)
    n, pull = jnp.array([0.0, 4.0]).reshape(2, 1, 1), jnp.ones((2, 1, 1))
    assert estimated(w, n, pull, ratio).item() == pytest.approx(1.0)
    assert estimated(w, n, -n, ratio).item() == pytest.approx(0.5)
    assert estimated(w, n, pull, ratio, control_variate_clip=2.0).item() == pytest.approx(0.5)
    assert estimated(w, n, pull, ratio, control_variate_ridge=1.125 / 4).item() == pytest.approx(0.5)
    assert share(w, n, pull, ratio, control_variate=0.3) == 0.3


def test_the_share_is_the_one_of_least_variance(drawn):
    """A grid over eta finds no smaller sum of w^2 (f - E_w f)^2, f = n - eta h."""
    n = drawn.noises
    pull = 0.5 * jnp.sin(3.0 * n) - 0.8 * n**2
    w = jax.nn.softmax(jnp.sum(n, -1), axis=0)
    best = estimated(w, n, pull, jnp.ones((1, 5, 1)))

    def variance(eta):
        f = n - eta * (n - pull)
        return jnp.sum(w[..., None] ** 2 * (f - jnp.sum(w[..., None] * f, 0)) ** 2, axis=0)

    others = jnp.stack([variance(best + shift) for shift in (-0.3, -0.01, 0.01, 0.3)])
    assert bool((variance(best) < others).all())


def test_a_flat_value_gives_the_uniform_law_on_the_box():
    log_p = partial(rfm.log_target, lambda s, a: jnp.zeros((2, *a.shape[:-1])), jnp.zeros(1), TEMPERATURE, 1.5)
    u = jnp.linspace(-20.0, 20.0, 4001)[:, None]
    density = jnp.exp(jax.vmap(log_p)(u))
    assert float(jnp.sum(density) * 0.01) == pytest.approx(3.0, rel=1e-4)
    assert float(jax.grad(log_p)(jnp.array([0.6]))[0]) == pytest.approx(-2.0 / 1.5 * np.tanh(0.4), rel=1e-5)
    assert float(jnp.abs(rfm.squash(u, 1.5)).max()) <= 1.5


@pytest.mark.parametrize(("eta", "route"), [(1.0, "regression-gradient"), (0.0, "regression-value")])
def test_the_ends_of_the_mix_are_the_two_regressions(eta, route):
    """The gradients in the field agree; the loss of `regression-value` has a constant besides."""
    node = load().nodes["rfm:diffusion"]
    scene = laboratory.scenario(1, 0.5, 1.0)
    s, a = np.random.default_rng(0).uniform(-1, 1, (2, 64, 2)).astype(np.float32)
    batch = Batch(s=jnp.asarray(s), a=jnp.asarray(a))
    hyper = subject.laboratory_hyper(node) | {"control_variate": eta}
    models = presentation.models(subject.setting(node), scene, {})

    def slope(cell):
        loss, net = compose.actor_loss(cell, hyper), models.actor.net

        def of_shift(shift):
            actor = replace(models.actor, net=lambda x, t, s: net(x, t, s) + shift)
            return loss(models._replace(actor=actor), batch, jax.random.key(3))[0]

        return jax.grad(of_shift)(jnp.zeros(2))

    mixed, other = dict(node.coordinates), {"regression-gradient", "regression-value"} - {route}
    got = slope(mixed)
    np.testing.assert_allclose(got, slope(mixed | {"route": route}), rtol=2e-4, atol=1e-5)
    assert np.abs(got - slope(mixed | {"route": other.pop()})).max() > 1e-2
