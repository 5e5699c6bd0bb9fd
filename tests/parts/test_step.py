"""One reverse step: its kernel's KL, its noise, its start, and its losses against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.compose import compose
from flowrl_kb.parts import direction, intermediate_value, path, source, step
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.reference import fixed
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import bdpo

KEY, B = jax.random.key(0), 4000
GRID = jnp.array([0.8, 0.5, 0.2, 0.0])


def constant(noise, p=None, sampler="forward-variance"):
    """A field in one dimension that predicts the same noise everywhere."""
    return Field(lambda x, t, s: jnp.full_like(x, noise), p or path.vp(), GRID, 1, sampler=sampler)


@pytest.mark.parametrize("name", ["vp", "linear"])
def test_the_divergence_is_the_gaussian_kl_of_two_steps(name):
    one, other = (constant(noise, getattr(path, name)()) for noise in (0.4, -0.1))
    x, s = jnp.array([[0.3], [-0.7]]), jnp.zeros((2, 1))
    for k in range(2):
        (mean, std), (mean_other, _) = one.step(x, k, s), other.step(x, k, s)
        want = jnp.sum((mean - mean_other) ** 2 / (2 * std**2), axis=-1)
        np.testing.assert_allclose(step.kernel_divergence(one, other, x, jnp.full(2, k), s), want, rtol=1e-4)


def test_the_last_step_has_a_finite_divergence():
    # alpha_u = 1 and sigma_u = 0 leave |eps - eps'|^2 / (2 alpha_t^2).
    got = step.kernel_divergence(constant(0.4), constant(-0.1), jnp.zeros((1, 1)), jnp.array([2]), jnp.zeros((1, 1)))
    np.testing.assert_allclose(got, 0.25 / (2 * np.cos(0.1 * np.pi) ** 2), rtol=1e-5)


def test_forward_variance_is_one_minus_the_ratio_of_signals():
    x, s, alpha = jnp.zeros((1, 1)), jnp.zeros((1, 1)), np.cos(0.5 * np.pi * np.array(GRID))
    for k in range(2):
        _, std = constant(0.0).step(x, k, s)
        np.testing.assert_allclose(std[0, 0] ** 2, 1 - (alpha[k] / alpha[k + 1]) ** 2, rtol=1e-4)
        assert std[0, 0] > constant(0.0, sampler="ancestral").step(x, k, s)[1][0, 0]
    assert constant(0.0).step(x, 2, s)[1][0, 0] == 0.0


def test_the_penalty_of_a_path_sums_its_steps():
    models = Models(behaviour=constant(-0.1))
    s = jnp.zeros((3, 1))
    chain = constant(0.4).chain(KEY, s, (2,))
    got = step.path_penalty(constant(0.4), models, s, chain, reference=fixed(), temperature=2.0)
    alpha = np.cos(0.5 * np.pi * np.array(GRID))
    beta = 1 - (alpha[:-1] / alpha[1:]) ** 2
    each = beta / (2 * (1 - beta) * (1 - alpha[:-1] ** 2)) * 0.25
    np.testing.assert_allclose(got, 2.0 * each.sum(), rtol=1e-4)


def taken(noise=0.0, n=3):
    batch = Batch(s=jnp.zeros((B, 1)), a=jnp.ones((B, 1)))
    return step.take(
        constant(noise), Models(), batch, KEY, source=source.behaviour, direction=direction.forward, step_samples=n
    )


def test_steps_start_at_every_level_equally_often_and_end_without_noise():
    made = taken()
    share = np.bincount(np.asarray(made.k[0]), minlength=3) / B
    np.testing.assert_allclose(share, 1 / 3, atol=0.03)
    for k in range(3):  # x = alpha + sigma eps
        x = np.asarray(made.x[0, :, 0])[np.asarray(made.k[0]) == k]
        np.testing.assert_allclose(x.mean(), np.cos(0.5 * np.pi * GRID[k]), atol=0.1)
    last = np.asarray(made.k[0]) == 2
    spread = np.asarray(made.after[:, :, 0]).std(axis=0)
    np.testing.assert_allclose(spread[last], 0.0, atol=1e-6)
    assert spread[~last].min() > 0.0


def test_behind_the_last_step_the_critic_stands_for_the_step_value():
    made = taken()
    models = Models(
        actor=constant(0.0),
        target_critic=lambda s, a: jnp.full((2, *a.shape[:-1]), 7.0),
        target_step_critic=lambda s, x, t: jnp.broadcast_to(t, (2, *x.shape[:-1])),
    )
    heads = intermediate_value.path_value(models, made, jnp.zeros((B, 1)))
    want = np.array([0.5, 0.2, 7.0])[np.asarray(made.k[0])]
    np.testing.assert_allclose(heads, np.broadcast_to(want, heads.shape), rtol=1e-6)


def by_hand():
    """Models with V = 2 and heads of Q at 3 and 5, eps 0.4 against 0.1, and the mean loss of V that follows."""
    models = Models(
        actor=constant(0.4),
        target_actor=constant(0.4),
        behaviour=constant(0.1),
        step_critic=lambda s, x, t: jnp.zeros((2, *x.shape[:-1])),
        target_step_critic=lambda s, x, t: jnp.full((2, *x.shape[:-1]), 2.0),
        target_critic=lambda s, a: jnp.stack([jnp.full(a.shape[:-1], q) for q in (3.0, 5.0)]),
    )
    alpha = np.cos(0.5 * np.pi * np.array(GRID))
    beta = 1 - (alpha[:-1] / alpha[1:]) ** 2
    kl = beta / (2 * (1 - beta) * (1 - alpha[:-1] ** 2)) * 0.09
    return models, np.array([2.0, 2.0, 4.0 - 0.5]) - 0.7 * kl  # a lower bound with half a deviation of 1


def test_published_losses_are_those_worked_out_by_hand():
    models, reached = by_hand()
    batch = Batch(s=jnp.zeros((B, 1)), a=jnp.ones((B, 1)))
    hyper = {"temperature": 0.7, "pessimism": 0.5, "step_samples": 2}
    np.testing.assert_allclose(bdpo.actor_loss(models, batch, KEY, **hyper)[0], -reached.mean(), atol=0.05)
    loss = bdpo.step_critic_loss(models, batch, KEY, **hyper)[0]
    np.testing.assert_allclose(loss, (reached**2).mean(), rtol=0.04)


def test_composed_losses_are_those_worked_out_by_hand(kb):
    models, reached = by_hand()
    batch = Batch(s=jnp.zeros((B, 1)), a=jnp.ones((B, 1)))
    hyper = {"temperature": 0.7, "pessimism": 0.5, "step_samples": 2, "actor_critic": "target"}
    hyper |= {"discount": 0.9, "best_of": 2}
    method = compose("cell", kb.nodes["bdpo"].coordinates, hyper)
    np.testing.assert_allclose(method.losses["actor"](models, batch, KEY)[0], -reached.mean(), atol=0.05)
    loss = method.losses["step_critic"](models, batch, KEY)[0]
    np.testing.assert_allclose(loss, 2 * (reached**2).mean(), rtol=0.04)  # a sum over two heads
