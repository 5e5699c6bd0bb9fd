"""SfBC's planned returns, TD3's smoothed target and IFQL's selection against numbers worked out by hand."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts.critic import planned
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import ifql, sfbc, td3

KEY = jax.random.key(0)
S = jnp.zeros((3, 1))


def always(*actions):
    """A policy whose N samples are these scalars, in this order, for every state."""

    def sample(key, s, lead=()):
        a = jnp.asarray(actions[: lead[0]])
        return jnp.broadcast_to(a[:, None, None], (lead[0], len(s), 1))

    return SimpleNamespace(sample=sample)


def plane(slope, *offsets):
    """Heads slope a + offset."""
    return lambda s, a: jnp.stack([slope * a[..., 0] + o for o in offsets])


def test_planned_return_is_the_larger_of_continuation_and_softmax_value():
    # V(s') over Q = 0 and log 3 at temperature one: weights 1/4 and 3/4.
    value = 0.75 * np.log(3.0)
    batch = Batch(
        s=S,
        a=jnp.zeros((3, 1)),
        reward=jnp.array([1.0, 1.0, 1.0]),
        next_s=S,
        not_done=jnp.array([1.0, 1.0, 0.0]),
        returns=jnp.array([1.0 + 0.5 * 0.2, 1.0 + 0.5 * 2.0, 1.0]),  # R' = 0.2 < V, R' = 2 > V, and an end
    )
    models = Models(actor=always(0.0, np.log(3.0)), critic=plane(1.0, 0.0), target_critic=plane(1.0, 0.0))
    wanted = np.mean(np.square([1.0 + 0.5 * value, 2.0, 1.0]))
    loss, _ = sfbc.critic_loss(models, batch, KEY, discount=0.5, temperature=1.0, backup_of=2)
    assert float(loss) == pytest.approx(wanted, rel=1e-5)

    seen = {}

    def regress(models, batch, backup, key):
        seen["target"] = batch.reward + 0.5 * batch.not_done * backup(models, batch, key)
        return jnp.zeros(()), {}

    part = planned(lambda *_: jnp.full(3, value), regress, discount=0.5)["critic"]
    part(models, batch, KEY)
    assert np.asarray(seen["target"]) == pytest.approx([1.0 + 0.5 * value, 2.0, 1.0], rel=1e-5)


def test_softmax_resampling_frequencies():
    models = Models(actor=always(0.0, np.log(3.0)), critic=plane(1.0, 0.0))
    a = sfbc.act(models, jnp.zeros((4000, 1)), KEY, best_of=2, acting_temperature=1.0)
    assert float(jnp.mean(a > 0)) == pytest.approx(0.75, abs=0.03)


def test_flow_selection_reads_the_smaller_online_head():
    heads = lambda s, a: jnp.stack([a[..., 0], 1.0 - 2.0 * a[..., 0]])  # noqa: E731  min is largest at a = 1/3
    models = Models(actor=always(0.0, 0.3, 0.9), critic=heads, target_critic=plane(1.0, 0.0, 0.0))
    assert np.asarray(ifql.act(models, S, KEY, best_of=3)) == pytest.approx(0.3)


def test_smoothing_noise_is_cut_after_scaling_and_the_smaller_head_closes_the_target():
    s = jnp.zeros((50_000, 1))
    point = SimpleNamespace(mean=lambda s: jnp.zeros((len(s), 1)))
    batch = Batch(s=s, a=s, reward=jnp.ones(len(s)), next_s=s, not_done=jnp.ones(len(s)))
    models = Models(actor=point, target_actor=point, critic=plane(0.0, 0.0), target_critic=plane(1.0, 2.0, 5.0))
    # y = 1 + 0.5 (2 + xi), xi = clip(N(0, 4), -1, 1). With c = 1/2 and tail T = 1 - Phi(c):
    # E xi^2 = 4 (1 - 2 c phi(c) - 2 T) + 2 T.
    beyond, density = 0.3085375387, 0.3520653268
    variance = 4.0 * (1.0 - 2.0 * density * 0.5 - 2.0 * beyond) + 2.0 * beyond
    loss, _ = td3.critic_loss(models, batch, KEY, discount=0.5, backup_noise_std=2.0, backup_noise_clip=1.0)
    assert float(loss) == pytest.approx(4.0 + 0.25 * variance, rel=0.01)


def test_td3_actor_ascends_the_first_head_alone():
    def loss(theta):
        point = SimpleNamespace(mean=lambda s: jnp.full((len(s), 1), theta))
        heads = lambda s, a: jnp.stack([-((a[..., 0] - 2.0) ** 2), 100.0 * a[..., 0]])  # noqa: E731
        return td3.actor_loss(Models(actor=point, critic=heads), Batch(s=S, a=S), KEY)[0]

    assert float(jax.grad(loss)(0.5)) == pytest.approx(-3.0)
