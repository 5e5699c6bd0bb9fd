"""Diffusion-DICE: value, weights, energy and guided selection against hand-worked numbers and closed forms."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import critic, energy_weight
from flowrl_kb.parts.path import vp
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import diffusion_dice

Q = jnp.array([0.0, 1.0, 3.0])
BATCH = Batch(s=jnp.zeros((3, 1)), a=jnp.zeros((3, 1)))
PATH = vp()


def models(v) -> Models:
    return Models(
        actor=SimpleNamespace(path=PATH),
        target_critic=lambda s, a: jnp.stack([Q, Q + 1.0]),
        value=lambda s: jnp.full(s.shape[0], v),
        energy=lambda x, t, s: jnp.full(x.shape[:-1], jnp.log(2.0)),
    )


def losses(temperature):
    """Composed and published loss as functions of a state value that is the same in all states."""
    composed = critic.in_sample_soft_chi_square(None, None, temperature=temperature)["value"]
    return (
        lambda v: composed(models(v), BATCH, None)[0],
        lambda v: diffusion_dice.value_loss(models(v), BATCH, None, temperature=temperature)[0],
    )


def test_value_loss_by_hand():
    # V = 1, lambda = 1/2: u = -2, 0, 4, so f* = e^-2 - 1, 0, 8, and V / lambda = 2, for which the composed loss has -u
    published = (np.exp(-2.0) - 1.0 + 8.0) / 3 + 2.0
    composed, stated = losses(0.5)
    assert float(stated(1.0)) == pytest.approx(published)
    assert float(composed(1.0)) == pytest.approx(published - float(Q.mean()) / 0.5)


@pytest.mark.parametrize("temperature", [0.2, 0.5, 2.0, 100.0])
def test_the_value_makes_the_weights_average_one(temperature):
    # found by bisection on E w = 1, which falls in V
    low, high = -10.0, 10.0
    weight = lambda u: np.where(u >= 0, 1 + u / 2, np.exp(np.minimum(u, 0.0)))  # noqa: E731
    for _ in range(60):
        v = (low + high) / 2
        low, high = (v, high) if weight((np.asarray(Q, float) - v) / temperature).mean() > 1 else (low, v)
    for loss in losses(temperature):
        assert float(jax.grad(loss)(v)) == pytest.approx(0.0, abs=1e-5)
        assert float(jax.grad(loss)(v - 0.3)) < 0.0 < float(jax.grad(loss)(v + 0.3))
    log_w = energy_weight.soft_chi_square(temperature=temperature)(Q, jnp.full(3, v))
    assert float(jnp.mean(jnp.exp(log_w))) == pytest.approx(1.0, abs=1e-5)


def test_large_excesses_have_finite_gradients():
    # u = 0, 100, 300 at V = 0, so weights 1, 51, 151
    for loss in losses(0.01):
        assert float(jax.grad(loss)(0.0)) == pytest.approx(-((1.0 + 51.0 + 151.0) / 3 - 1.0) / 0.01, rel=1e-5)


def test_energy_loss_by_hand():
    # u = -2, 0, 4: weights e^-2, 1, 3, the last cut at 2.5; at the constant energy log 2 the loss is mean w / 2 + log 2
    for clip, largest in ((100.0, 3.0), (2.5, 2.5)):
        loss, _ = diffusion_dice.energy_loss(
            models(1.0), BATCH, jax.random.key(0), temperature=0.5, candidates=2, weight_clip=clip
        )
        assert float(loss) == pytest.approx((np.exp(-2.0) + 1.0 + largest) / 6 + np.log(2.0), rel=1e-5)


@pytest.mark.parametrize("best_of", [1, 4])
def test_guide_then_select(best_of):
    """N(0, 1) guided by the slope b of a linear tilt is N(b, 1); the mean of both heads takes the largest of N."""
    b = 0.7
    eps = lambda x, t, s: PATH.sigma(t)[..., None] * x  # noqa: E731
    shown = Models(
        actor=Field(eps, PATH, jnp.linspace(0.99, 0.0, 101), 1, "eps", "ode"),
        energy=lambda x, t, s: b * PATH.alpha(t) * x[..., 0],
        critic=lambda s, a: jnp.stack([3.0 * a[..., 0], -a[..., 0]]),  # the mean rises, the smaller head does not
    )
    a = diffusion_dice.act(shown, jnp.zeros((4000, 1)), jax.random.key(0), best_of=best_of, guidance_weight=1.0)
    # the mean of the largest of four standard normal numbers is 1.0294
    assert float(a.mean()) == pytest.approx(b + {1: 0.0, 4: 1.0294}[best_of], abs=0.06)
