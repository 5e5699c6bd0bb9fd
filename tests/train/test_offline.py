"""Offline data: what is read from a Minari data set, and training on it."""

import json
import warnings

import jax
import numpy as np
import pytest

pytest.importorskip("minari", reason="offline data need the extra `envs`")

from flowrl_kb.errors import UserError
from flowrl_kb.kb.load import load
from flowrl_kb.tasks import get, gym, offline
from flowrl_kb.train import build, choose, runs
from flowrl_kb.train.record import record

ID = "pendulum/random-v0"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two episodes of uniform torques, with what was done and seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        env, random, seen = offline.minari().DataCollector(gym.make("Pendulum-v1")), np.random.default_rng(0), []
        for seed in range(2):
            s, _ = env.reset(seed=seed)
            for _ in range(200):
                a = random.uniform(-2, 2, 1).astype(np.float32)
                following, reward, terminated, *_ = env.step(a)
                seen.append((s, a, reward, following, terminated))
                s = following
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            env.create_dataset(ID, algorithm_name="uniform", author="test")
        env.close()
        yield seen


def agent_of(method, task):
    choice = choose.method(load(), method, False)
    return build.agent(choice, build.settled(load(), choice, task, 64), task)


def test_transitions_are_those_that_were_seen(stored):
    task = get(f"minari/{ID}")
    assert (task.id, task.ds, task.d) == ("Pendulum-v1", 3, 1)
    data = offline.transitions(task, discount=0.9)
    s, a, reward, following, terminated = map(np.array, zip(*stored, strict=True))
    np.testing.assert_allclose(data.s, s)
    np.testing.assert_allclose(data.a, a / 2.0, rtol=1e-6)
    np.testing.assert_allclose(data.next_s, following)
    assert not terminated.any() and not data.terminated.any()
    by_hand = sum(0.9**k * reward[150 + k] for k in range(50))
    np.testing.assert_allclose(data.returns[150], by_hand, rtol=1e-4)
    np.testing.assert_allclose(data.returns[199], reward[199], rtol=1e-6)


def test_a_method_of_stored_returns_takes_them_from_the_data(stored):
    task = get(f"minari/{ID}")
    run = runs.make(agent_of("awr", task), task, seeds=1, seed=0)
    assert np.isfinite(list(run.advance(2).values())).all()


def test_an_offline_method_trains_resumes_and_is_recorded(stored):
    task = get(f"minari/{ID}")
    agent = agent_of("iql", task)
    run = runs.make(agent, task, seeds=1, seed=0)
    first = run.advance(64)
    kept = jax.tree.map(np.array, run.state())  # updates reuse its buffers
    second = run.advance(64)
    assert np.isfinite(list(second.values())).all() and run.step == 64
    again = runs.make(agent, task, seeds=1, seed=0)
    again.load(32, kept)
    assert again.advance(64) == second != first
    made = record(again, "pendulum/iql-v0", 1, {"method": "iql", "seed": 0})
    assert made.total_episodes == 1 and made.total_steps == 200
    assert json.loads(made.storage.metadata["flowrl_kb"])["method"] == "iql"


def test_an_on_policy_method_is_refused(stored):
    task = get(f"minari/{ID}")
    with pytest.raises(UserError, match="needs its own roll-outs"):
        runs.make(agent_of("ppo", task), task, seeds=1, seed=0)


def test_a_data_set_that_cannot_be_fetched_is_one_line(stored):
    with pytest.raises(UserError, match="pendulum/random-v1.*did you mean pendulum/random-v0") as error:
        get("minari/pendulum/random-v1")
    assert "\n" not in str(error.value)
