"""A run that was stopped and restored continues as if it had never stopped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.errors import UserError
from flowrl_kb.tasks import bandits
from flowrl_kb.train import checkpoint
from flowrl_kb.train.bandit_run import BanditRun


def _same(a, b):
    left, right = jax.tree.leaves(a), jax.tree.leaves(b)
    assert len(left) == len(right)
    for x, y in zip(left, right, strict=True):
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_bandit_run_resumes_exactly(tmp_path, make_agent):
    task = bandits.get("two-modes-1d")
    agent = make_agent("sdac", task, candidates=4, steps=4)
    run = BanditRun(agent, task, seeds=2, seed=3, chunk_length=5)
    again = BanditRun(agent, task, seeds=2, seed=3, chunk_length=5)
    _same(run.state(), again.state())

    def advance(chunks):
        for _ in range(chunks):
            run.advance(100)

    checkpoint.save(tmp_path / "start", run.step, run.state())
    advance(4)
    straight = jax.tree.map(jnp.copy, run.state())
    bias = np.asarray(straight.state.params["actor"]["bias"])
    assert not np.allclose(bias[0], bias[1])  # seeds differ
    # the same run object, so that the chunk is compiled once; everything it carries is replaced
    run.load(*checkpoint.restore(tmp_path / "start", run.state()))
    assert run.step == 0
    advance(2)
    checkpoint.save(tmp_path / "half", run.step, run.state())
    advance(1)
    run.load(*checkpoint.restore(tmp_path / "half", again.state()))
    assert run.step == 10
    advance(2)
    _same(run.state(), straight)


def test_off_policy_run_resumes_exactly(tmp_path, make_agent):
    pytest.importorskip("gymnasium")
    from flowrl_kb.tasks import gym
    from flowrl_kb.train.off_policy import OffPolicyRun

    task = gym.get("Pendulum-v1")

    def fresh():
        return OffPolicyRun(
            make_agent("sac", task, envs=2, random_steps=70, replay=500, updates_per_step=1), task, seed=1
        )

    straight = fresh()
    for _ in range(6):
        straight.advance(10**6)
    first = fresh()
    for _ in range(3):
        first.advance(10**6)
    checkpoint.save(tmp_path, first.step, first.state())
    second = fresh()
    second.load(*checkpoint.restore(tmp_path, second.state()))
    for _ in range(3):
        second.advance(10**6)
    assert second.updates > 0
    _same(second.state(), straight.state())


def test_a_checkpoint_of_another_method_is_refused(tmp_path):
    checkpoint.save(tmp_path, 7, {"a": np.zeros(2)})
    with pytest.raises(UserError, match="does not fit"):
        checkpoint.restore(tmp_path, {"b": np.zeros(2)})


def test_only_the_newest_checkpoint_is_kept(tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, {"a": np.full(2, step)})
    assert [p.name for p in (tmp_path / checkpoint.FOLDER).iterdir()] == ["2"]
    step, tree = checkpoint.restore(tmp_path, {"a": np.zeros(2)})
    assert step == 2 and tree["a"].tolist() == [2, 2]


def test_missing_checkpoint_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoint.restore(tmp_path, {})
