"""CRR and AWR against weights worked out by hand, published and composed: two stored actions, 6 and 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.parts.policy import Gaussian
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import awr, crr

KEY, S = jax.random.key(0), jnp.zeros((2, 1))
BATCH = Batch(s=S, a=jnp.array([[6.0], [0.0]]), returns=jnp.array([1.5, -0.5]))
NORMAL = 0.5 * np.log(2.0 * np.pi)


def models(mean):
    """A unit Gaussian around `mean`; Q is one beyond 5 and zero before, the state value 1/2."""
    policy = Gaussian(lambda s: (jnp.full(s.shape, mean), jnp.zeros(s.shape)), 1)
    q = lambda s, a: jnp.stack([(a[..., 0] > 5.0).astype(jnp.float32)] * 2)  # noqa: E731
    return Models(actor=policy, critic=q, value=lambda s: jnp.full(s.shape[:-1], 0.5))


def likelihood(mean, weights):
    """-E w log N(a; mean, 1) of the two stored actions."""
    return np.mean(np.array(weights) * (0.5 * np.square(np.array([6.0, 0.0]) - mean) + NORMAL))


def composed(kb, name, **hyper):
    """The actor loss at the cell of a method or variant."""
    node = kb.resolve(name)
    return compose.of_node(node, composed=True, hyper=hyper).losses["actor"]


@pytest.mark.parametrize("mean, weights", [(0.0, (2.0, 1.0)), (10.0, (1.0, np.exp(-1.0)))])
def test_crr_measures_from_the_policys_own_actions(kb, mean, weights):
    """Fresh actions are worth 0 around 0 and 1 around 10, so that advantages are 1 and 0, or 0 and -1; cut at 2."""
    hyper = {"temperature": 1.0, "weight_clip": 2.0, "baseline_of": 3}
    published = crr.actor_loss(models(mean), BATCH, KEY, **hyper)[0]
    for loss in (published, composed(kb, "crr", **hyper)(models(mean), BATCH, KEY)[0]):
        np.testing.assert_allclose(float(loss), likelihood(mean, weights), rtol=1e-5)


@pytest.mark.parametrize("mean, weights", [(0.0, (1.0, 1.0)), (10.0, (1.0, 0.0))])
def test_the_binary_weight_keeps_what_is_no_worse_than_the_policy(kb, mean, weights):
    loss = composed(kb, "crr:binary", advantage_threshold=0.0, baseline_of=3)(models(mean), BATCH, KEY)[0]
    np.testing.assert_allclose(float(loss), likelihood(mean, weights), rtol=1e-5)


def test_a_weight_that_is_not_normalised_needs_a_state_value(kb):
    cell = dict(kb.resolve("crr").coordinates)
    with pytest.raises(compose.MissingHyper, match="baseline_of"):
        compose.compose("cell", cell, {"temperature": 1.0, "weight_clip": 2.0, "discount": 0.9})


def test_awr_weighs_by_the_return_of_the_stored_action(kb):
    """Returns are 1.5 and -0.5 against a value of 1/2: weights e cut at 2, and 1 / e, whatever Q."""
    hyper = {"temperature": 1.0, "weight_clip": 2.0}
    blind = models(0.0)._replace(critic=None)
    published = awr.actor_loss(blind, BATCH, KEY, **hyper)[0]
    for loss in (published, composed(kb, "awr", **hyper)(blind, BATCH, KEY)[0]):
        np.testing.assert_allclose(float(loss), likelihood(0.0, (2.0, np.exp(-1.0))), rtol=1e-5)
    np.testing.assert_allclose(float(awr.value_loss(blind, BATCH, KEY)[0]), 0.5, rtol=1e-6)
