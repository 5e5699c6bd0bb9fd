"""The update: own gradients only, moving averages, periods, the previous iterate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts.networks import Shape
from flowrl_kb.parts.types import Batch, Method
from flowrl_kb.train import update

SHAPES = {name: Shape(1, 1, (4,)) for name in ("actor", "critic", "value")}
BATCH = Batch(s=jnp.ones((3, 1)), a=jnp.ones((3, 1)), reward=jnp.ones(3))
SETTINGS = {"learning_rate": 0.1, "target_rate": 0.25, "old_every": 1}


def _method():
    """The actor's loss reads every object, so that a leaking gradient would change a critic that trains on zero."""

    def actor(models, batch, key):
        return jnp.mean(models.critic(batch.s, models.actor.mean(batch.s))) + jnp.mean(models.value(batch.s)), {}

    def still(models, batch, key):
        return 0.0 * jnp.mean(models.value(batch.s)), {}

    trains = {"actor": "deterministic", "critic": "critic", "value": "value"}
    zero = lambda models, batch, key: (0.0 * jnp.mean(models.critic(batch.s, batch.a)), {})  # noqa: E731
    return Method("m", trains, {"actor": actor, "critic": zero, "value": still}, lambda models, s, key: s)


def _make(**changes):
    """A trainer of the method whose update is compiled once, with its settings changed."""
    trainer = update.make(_method(), SHAPES, {**SETTINGS, **changes})
    return trainer._replace(update=jax.jit(trainer.update))


def _equal(a, b):
    return all(
        np.array_equal(np.asarray(x), np.asarray(y))
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_each_loss_moves_its_own_object_only():
    trainer = _make()
    state = trainer.init(jax.random.key(0))
    new, metrics = trainer.update(state, BATCH, jax.random.key(1), 0)
    assert not _equal(new.params["actor"], state.params["actor"])
    assert _equal(new.params["critic"], state.params["critic"])
    assert _equal(new.params["value"], state.params["value"])
    assert set(metrics) == {"actor/loss", "critic/loss", "value/loss"}


def test_targets_are_moving_averages():
    trainer = _make()
    state = trainer.init(jax.random.key(0))
    new, _ = trainer.update(state, BATCH, jax.random.key(1), 0)
    expected = jax.tree.map(lambda o, n: 0.75 * o + 0.25 * n, state.targets["actor"], new.params["actor"])
    for x, y in zip(jax.tree.leaves(new.targets["actor"]), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)


def test_old_is_the_actor_before_the_update_or_a_copy_at_its_period():
    trainer = _make()
    state = trainer.init(jax.random.key(0))
    one, _ = trainer.update(state, BATCH, jax.random.key(1), 0)
    two, _ = trainer.update(one, BATCH, jax.random.key(2), 1)
    assert _equal(two.old, one.params["actor"])
    frozen = _make(old_every=0)
    kept, _ = frozen.update(one, BATCH, jax.random.key(2), 1)
    assert _equal(kept.old, one.old)
    assert _equal(update.refresh(kept).old, kept.params["actor"])


def test_between_roll_outs_the_value_of_the_last_one_is_kept():
    trainer = _make(old_every=0)
    state = trainer.init(jax.random.key(0))
    moved = state._replace(params=jax.tree.map(lambda x: x + 1.0, state.params))
    kept, _ = trainer.update(moved, BATCH, jax.random.key(1), 0)
    assert _equal(kept.targets["value"], state.targets["value"])
    assert not _equal(kept.targets["critic"], state.targets["critic"])
    assert _equal(update.refresh(kept).targets["value"], kept.params["value"])
    assert _equal(update.refresh(kept).targets["critic"], kept.targets["critic"])
    followed, _ = _make().update(moved, BATCH, jax.random.key(1), 0)
    assert not _equal(followed.targets["value"], state.targets["value"])


def test_a_delayed_actor_rests_between_its_updates():
    trainer = _make(actor_every=2)
    state = trainer.init(jax.random.key(0))
    rested, metrics = trainer.update(state, BATCH, jax.random.key(1), 1)
    assert _equal(rested.params["actor"], state.params["actor"]) and np.isnan(metrics["actor/loss"])
    moved, _ = trainer.update(state, BATCH, jax.random.key(1), 2)
    assert not _equal(moved.params["actor"], state.params["actor"])


def test_settings_may_be_given_for_one_object():
    plain = _make()
    slow = _make(actor_learning_rate=0.01)
    state = plain.init(jax.random.key(0))

    def change(trainer):
        new, _ = trainer.update(state, BATCH, jax.random.key(1), 0)
        moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), new.params["actor"], state.params["actor"])
        return max(float(x) for x in jax.tree.leaves(moved))

    assert change(slow) == pytest.approx(change(plain) / 10, rel=1e-2)


def test_exact_objects_stand_in_for_trained_ones():
    oracle = lambda s, a: jnp.zeros((2, *a.shape[:-1]))  # noqa: E731
    trainer = update.make(_method(), SHAPES, SETTINGS, {"critic": oracle})
    state = trainer.init(jax.random.key(0))
    assert "critic" not in state.params
    assert trainer.models(state).critic is oracle
