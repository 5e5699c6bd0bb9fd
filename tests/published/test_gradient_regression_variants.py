"""Variants of QSM, iDEM and DAC as other codes write them, against what their coordinates compose to.

No published function stands behind a variant, so the targets are written out here in NumPy.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.certify import laboratory, presentation, subject
from flowrl_kb.parts import direction
from flowrl_kb.parts.types import Batch

SIZE = 64


def observe(kb, monkeypatch, name, hyper):
    """The composed actor loss at a zero field, and what it was made of: draws, models, batch, path."""
    seen = {}

    def spy(part):
        def recorded(*arguments):
            seen["draws"] = part(*arguments)
            return seen["draws"]

        return recorded

    for value in ("forward", "reverse"):
        monkeypatch.setattr(direction, value, spy(getattr(direction, value)))
    node = kb.resolve(name)
    setting, scene = subject.setting(node), laboratory.scenario(1, 0.5, 1.0)
    s, a = np.random.default_rng(0).uniform(-1, 1, (2, SIZE, 2)).astype(np.float32)
    batch = Batch(s=jnp.asarray(s), a=jnp.asarray(a))
    models = presentation.models(setting, scene, {})
    field = models.actor
    zero = models._replace(actor=replace(field, net=lambda x, t, s: jnp.zeros_like(x)))
    loss = compose.actor_loss(node.coordinates, {**compose.hyperparameters(node), **hyper})
    value = float(loss(zero, batch, jax.random.key(1))[0])
    return value, seen["draws"], models, batch, field.path


def slopes(critic, s, a, reduce):
    """Action gradients of the reduced critic at a (..., B, d), by central differences."""
    out, h = np.zeros(a.shape), 3e-3
    for i in range(a.shape[-1]):
        step = np.zeros(a.shape[-1])
        step[i] = h
        up, down = (reduce(np.asarray(critic(s, jnp.asarray(a + d)), float)) for d in (step, -step))
        out[..., i] = (up - down) / (2 * h)
    return out


def mean(heads):
    return heads.mean(0)


def smallest(heads):
    return heads.min(0)


@pytest.mark.parametrize(
    ("name", "power", "normalised", "reduce", "target"),
    [
        ("qsm", 0, False, mean, False),
        ("qsm:flow-rl", 1, True, mean, True),
        ("qsm:maxentdp", 1, False, smallest, True),
    ],
)
def test_qsm_targets(kb, monkeypatch, name, power, normalised, reduce, target):
    value, draws, models, batch, path = observe(kb, monkeypatch, name, {"temperature": 0.5})
    critic = models.target_critic if target else models.critic
    g = slopes(critic, batch.s, np.asarray(draws.x, float), reduce)
    noise_target = -(np.asarray(path.sigma(draws.t))[..., None] ** power) * g / 0.5
    if normalised:
        noise_target = noise_target / np.abs(g).mean()
    assert value == pytest.approx((noise_target**2).sum(-1).mean(), rel=2e-3)


@pytest.mark.parametrize("normalised", [False, True])
def test_idem_targets(kb, monkeypatch, normalised):
    name = "idem:flow-rl" if normalised else "idem"
    value, draws, models, batch, path = observe(kb, monkeypatch, name, {"temperature": 0.5, "candidates": 16})
    a = np.asarray(draws.a, float)
    g = slopes(models.target_critic, batch.s, a, smallest)
    q = np.asarray(models.target_critic(batch.s, draws.a)).min(0).astype(float)
    scale = 0.5 * (np.abs(g).mean() if normalised else 1.0)
    w = np.exp(q / scale - (q / scale).max(0))
    w = (w / w.sum(0))[..., None]
    ratio = np.asarray(path.sigma(draws.t) / path.alpha(draws.t))[..., None]
    noise_target = -ratio * (w * g).sum(0, keepdims=True) / scale
    assert value == pytest.approx((noise_target**2).sum(-1).mean(), rel=2e-3)


@pytest.mark.parametrize(("name", "power"), [("dac", 1), ("dac:hard", 0)])
def test_dac_completes_the_square(kb, monkeypatch, name, power):
    value, draws, models, batch, path = observe(kb, monkeypatch, name, {"temperature": 0.5})
    g = slopes(models.target_critic, batch.s, np.asarray(draws.x, float), mean)
    size = np.abs(np.asarray(models.target_critic(batch.s, batch.a)).mean(0)).mean()
    shift = np.asarray(path.sigma(draws.t))[..., None] ** power * g / (0.5 * size)
    assert value == pytest.approx(((np.asarray(draws.eps) - shift) ** 2).sum(-1).mean(), rel=2e-3)
