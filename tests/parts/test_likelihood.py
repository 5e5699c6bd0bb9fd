"""Ratios made of denoising losses, by hand-computed numbers."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.errors import UnknownName
from flowrl_kb.parts import likelihood
from flowrl_kb.parts.path import linear
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Batch, Models


def field(velocity: Any) -> Field:
    """A field on the straight path whose velocity is the same everywhere."""
    grid = jnp.array([1.0, 0.0])
    return Field(lambda x, t, s: jnp.broadcast_to(velocity, x.shape), linear(), grid, 2, "velocity")


def of(velocity: Any) -> tuple[Models, Batch]:
    """Two pairs of one action at the origin, noises (1, 0) and (0, 2); the previous velocity is zero."""
    eps = jnp.array([[[1.0, 0.0]], [[0.0, 2.0]]])
    batch = Batch(s=jnp.zeros((1, 1)), a=jnp.zeros((1, 2)), pair_t=jnp.array([[0.5], [0.25]]), pair_eps=eps)
    return Models(actor=field(velocity), old=field(jnp.zeros(2))), batch


@pytest.mark.parametrize("reduction, share", [("sum", 1.0), ("root", 2**-0.5), ("mean", 0.5)])
def test_drops_of_the_velocity_loss_by_hand(reduction, share):
    # v = (1, 1): |v - eps|^2 falls from 1 to 1 and from 4 to 2
    models, batch = of(jnp.ones(2))
    found = likelihood.cfm_per_sample(models, batch, loss_space="velocity", log_prob_reduction=reduction)
    np.testing.assert_allclose(found[:, 0], [0.0, 2.0 * share], atol=1e-5)
    found = likelihood.cfm_averaged(models, batch, loss_space="velocity", log_prob_reduction=reduction)
    np.testing.assert_allclose(found, [[share]], rtol=1e-5)


def test_a_bound_holds_the_ratio_and_keeps_its_gradient():
    def ratio(scale, bound):
        models, batch = of(scale * jnp.array([0.0, 1.0]))
        kinds = {"loss_space": "velocity", "log_prob_reduction": "sum", "log_ratio_max": bound}
        return jnp.exp(likelihood.cfm_per_sample(models, batch, **kinds)[1, 0])

    # at scale 1 the second loss has fallen from 4 to 1 and falls at 2 (2 - 1) = 2 per unit of scale
    np.testing.assert_allclose(ratio(1.0, None), np.exp(3), rtol=1e-4)
    np.testing.assert_allclose(ratio(1.0, 2.0), np.exp(2), rtol=1e-4)
    np.testing.assert_allclose(jax.grad(ratio)(1.0, 2.0), 2 * np.exp(2), rtol=1e-4)


@pytest.mark.parametrize("of_pairs", [likelihood.cfm_per_sample, likelihood.cfm_averaged])
def test_losses_of_both_policies_are_cut_and_pass_no_gradient_above(of_pairs):
    def drops(scale):
        # losses of v = (0, scale): 1 + scale^2 and (2 - scale)^2, before 1 and 4
        models, batch = of(scale * jnp.array([0.0, 1.0]))
        return of_pairs(models, batch, loss_space="velocity", log_prob_reduction="sum", cfm_loss_max=3.0)

    reduced = (lambda x: x) if of_pairs is likelihood.cfm_per_sample else np.mean
    # at 1: 1 - 2 and 3 - 1, with slopes -2 and 2; at -1: 1 - 2 and 3 - 3, with slopes 2 and none (the loss is 9)
    np.testing.assert_allclose(drops(1.0)[:, 0], reduced([-1.0, 2.0]), atol=1e-5)
    np.testing.assert_allclose(jax.jacobian(drops)(1.0)[:, 0], reduced([-2.0, 2.0]), atol=1e-4)
    np.testing.assert_allclose(drops(-1.0)[:, 0], reduced([-1.0, 0.0]), atol=1e-5)
    np.testing.assert_allclose(jax.jacobian(drops)(-1.0)[:, 0], reduced([2.0, 0.0]), atol=1e-4)


def test_a_drop_is_cut_on_both_sides_and_passes_no_gradient_beyond():
    def drops(scale):
        models, batch = of(scale * jnp.array([0.0, 1.0]))
        kinds = {"loss_space": "velocity", "log_prob_reduction": "sum", "log_ratio_clip": 2.0}
        return likelihood.cfm_per_sample(models, batch, **kinds)[:, 0]

    # the second loss falls by 3 at 1 and rises by 5 at -1; the first rises by 1
    np.testing.assert_allclose(drops(1.0), [-1.0, 2.0], atol=1e-5)
    np.testing.assert_allclose(drops(-1.0), [-1.0, -2.0], atol=1e-5)
    np.testing.assert_allclose(jax.jacobian(drops)(1.0), [-2.0, 0.0], atol=1e-4)


def test_the_pull_is_the_mean_squared_distance_of_velocities():
    # (1, 1) against (0, 3): (1 + 4) / 2 at both noise levels, times 0.4
    models, batch = of(jnp.ones(2))
    models = models._replace(behaviour=field(jnp.array([0.0, 3.0])))
    found = likelihood.pull_to_frozen(models, batch, loss_space="velocity", anchor_weight=0.4)
    np.testing.assert_allclose(found, 1.0, rtol=1e-4)


@pytest.mark.parametrize("clamp_of, want", [("element", -3.0 - 1.0), ("step", -4.0)])
def test_bounds_hold_each_element_or_the_step(clamp_of, want):
    """A step of deviation one whose elements are off by 3 and 0: densities c - 4.5 and c, c = -log(2 pi) / 2."""
    c = -0.5 * np.log(2.0 * np.pi)
    chain = jnp.array([[[0.0, 0.0]], [[3.0, 0.0]]])
    still = SimpleNamespace(step=lambda x, k, s: (x, jnp.ones(())))
    low, high = (-3.0, -1.0) if clamp_of == "element" else (-4.0, 2.0)
    # elements: -5.42 and -0.92, cut to -3 and -1; the step: -6.34, cut to -4
    found = likelihood._transitions(still, chain, jnp.zeros((1, 1)), "sum", (low, high), clamp_of)
    np.testing.assert_allclose(found, [[want]], rtol=1e-6)
    free = likelihood._transitions(still, chain, jnp.zeros((1, 1)), "sum", None, clamp_of)
    np.testing.assert_allclose(free, [[2.0 * c - 4.5]], rtol=1e-6)


def test_an_unknown_object_of_the_bounds_is_named():
    with pytest.raises(UnknownName, match="unknown value of log_prob_clamp_of 'steps'; did you mean step"):
        likelihood.per_step_chain(*of(jnp.ones(2)), log_prob_clamp_of="steps")
