"""The categorical critic against laws of three atoms worked out by hand, and against the published projection."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts.critic_output import categorical
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import dime

KEY = jax.random.key(0)
LOGITS = jnp.log(jnp.array([0.2, 0.3, 0.5]))


def backup(bonus):
    """The mean over heads at the next action, plus a bonus."""
    return lambda models, batch, key: jnp.mean(models.target_critic(batch.next_s, batch.a), axis=0) + bonus


def loss(next_heads, reward, bonus=0.0, **hyper):
    """The loss of two equal heads at one transition; atoms 0, 1, 2, discount 0.5."""
    one = jnp.zeros((1, 1))
    models = Models(
        logits=lambda s, a: jnp.broadcast_to(LOGITS, (2, 1, 3)),
        target_critic=lambda s, a: jnp.zeros((2, 1)),
        target_logits=lambda s, a: jnp.log(jnp.array(next_heads))[:, None] + 1.7,
    )
    batch = Batch(s=one, a=one, reward=jnp.array([reward]), next_s=one, not_done=jnp.ones(1))
    return categorical(models, batch, backup(bonus), KEY, discount=0.5, value_min=0.0, value_max=2.0, **hyper)[0]


@pytest.mark.parametrize(
    ("next_heads", "reward", "bonus", "target"),
    [
        # 0.25 + 0.5 * 1 = 0.75: a quarter on the atom 0
        ([[0.0, 1.0, 0.0]] * 2, 0.25, 0.0, (0.25, 0.75, 0.0)),
        # the bonus moves it to 0.25 + 0.5 * (1 + 1) = 1.25
        ([[0.0, 1.0, 0.0]] * 2, 0.25, 1.0, (0.0, 0.75, 0.25)),
        # the heads are averaged: targets 0.25 and 1.25 with probability one half each
        ([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], 0.25, 0.0, (0.375, 0.5, 0.125)),
        # beyond the last atom the target is cut
        ([[0.0, 0.0, 1.0]] * 2, 5.0, 0.0, (0.0, 0.0, 1.0)),
        ([[1.0, 0.0, 0.0]] * 2, -5.0, 0.0, (1.0, 0.0, 0.0)),
    ],
)
def test_the_target_is_shared_between_its_two_nearest_atoms(next_heads, reward, bonus, target):
    want = -2 * np.dot(target, np.asarray(LOGITS))
    np.testing.assert_allclose(loss(next_heads, reward, bonus), want, rtol=1e-4)


def test_the_entropy_bonus_is_that_of_the_heads():
    without = loss([[0.0, 1.0, 0.0]] * 2, 0.25)
    with_bonus = loss([[0.0, 1.0, 0.0]] * 2, 0.25, output_entropy=0.1)
    entropy = -float(jnp.sum(jnp.exp(LOGITS) * LOGITS))
    np.testing.assert_allclose(with_bonus - without, -2 * 0.1 * entropy, rtol=1e-3)


def test_the_published_projection_keeps_mass_and_mean_inside_the_range():
    p = jnp.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    target = jnp.array([[0.4, 1.1, 1.8], [2.0, 0.0, 0.0]])
    got = dime.projected(p, target, 0.0, 1.0)
    np.testing.assert_allclose(got @ jnp.arange(3.0), jnp.sum(p * target, axis=1), rtol=1e-5)
    np.testing.assert_allclose(jnp.sum(got, axis=1), 1.0, rtol=1e-5)
