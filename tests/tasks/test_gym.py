"""Gymnasium tasks: scaling, episode ends, exact simulator states, errors."""

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from flowrl_kb.errors import UserError  # noqa: E402
from flowrl_kb.tasks import gym  # noqa: E402


def test_actions_are_rescaled_to_the_box():
    task = gym.get("Pendulum-v1")
    assert (task.ds, task.d, task.box) == (3, 1, 1.0)
    envs = gym.Envs(task, 1, seed=0)
    envs.step(np.ones((1, 1)))
    assert envs.envs[0].unwrapped.last_u == pytest.approx(2.0)


def test_an_episode_end_keeps_the_last_observation_and_starts_anew():
    envs = gym.Envs(gym.get("Pendulum-v1"), 2, seed=0)
    for _ in range(199):
        _, _, _, ended = envs.step(np.zeros((2, 1)))
        assert not ended.any()
    reward, following, terminated, ended = envs.step(np.zeros((2, 1)))
    assert ended.all() and not terminated.any()
    assert not np.allclose(following, envs.s)
    assert len(envs.finished) == 2 and not envs.returns.any()


@pytest.mark.parametrize("id", ["Pendulum-v1", "HalfCheetah-v5"])
def test_a_restored_simulator_continues_exactly(id):
    pytest.importorskip("mujoco")
    task = gym.get(id)
    envs, random = gym.Envs(task, 2, seed=3), np.random.default_rng(0)
    for _ in range(20):
        envs.step(random.uniform(-1, 1, (2, task.d)))
    stored = {name: np.array(value) for name, value in envs.state().items()}
    other = gym.Envs(task, 2, seed=99)
    other.load(stored)
    for _ in range(200):  # past the time limit of Pendulum, so that the reset's random numbers count too
        a = random.uniform(-1, 1, (2, task.d))
        for x, y in zip(envs.step(a), other.step(a), strict=True):
            np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(envs.s, other.s)


@pytest.mark.parametrize(
    "id, message",
    [("HalfCheeta-v5", "did you mean gym/HalfCheetah-v5"), ("CartPole-v1", "expected a box of one dimension")],
)
def test_tasks_that_cannot_be_used_are_one_line(id, message):
    with pytest.raises(UserError, match=message):
        gym.get(id)
