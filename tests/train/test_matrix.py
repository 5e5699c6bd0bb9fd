"""Every executable method runs, as a user types it: on a bandit, and in an environment or on a data set."""

import json
import math
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from flowrl_kb.cli import app
from flowrl_kb.kb.code import executable
from flowrl_kb.kb.load import load

NODES = list(executable(load()))
QUICK = ("td3", "iql", "ppo")
"""One method of each training loop runs in every suite, the others are slow."""
TINY = {"hidden": "[8]", "batch": 8, "heads": 2}
FEWER = {"steps": 3, "candidates": 2, "best_of": 2, "backup_of": 2, "baseline_of": 2, "entropy_samples": 4}
LOOP = {"random_steps": 16, "replay": 256, "rollout": 32, "minibatches": 2, "epochs": 1, "envs": 1}
DATA = "pendulum/matrix-v0"
ON_DATA = ("awr",)
"""Methods that need the returns of stored actions, which a data set holds and a replay does not."""
FROZEN = ("dsrl", "policy-decorator")
"""Methods beside a frozen generator, which only bandits have (their exact field)."""


def marked(nodes, quick):
    return [n.id if n.id in quick else pytest.param(n.id, marks=pytest.mark.slow) for n in nodes]


def run(folder, name, task, steps):
    """Final figures of `flowrl-kb run`, with networks and numbers of candidates as small as the method allows."""
    done = attempt(folder, name, task, steps)
    assert done.exit_code == 0, done.output + repr(done.exception)
    return json.loads((folder / "result.json").read_text())


def attempt(folder, name, task, steps):
    values = {**TINY, **LOOP, **{k: v for k, v in FEWER.items() if k in load().cards[name].hyperparameters}}
    changes = [word for k, v in values.items() for word in ("--set", f"{k}={v}")]
    words = ["run", name, "--task", task, "--steps", str(steps), "--out", str(folder), *changes]
    return CliRunner().invoke(app, words)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A small data set of uniform torques on the pendulum."""
    minari = pytest.importorskip("minari", reason="offline data need the extra `envs`")
    gymnasium = pytest.importorskip("gymnasium", reason="environments need the extra `envs`")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        env, random = minari.DataCollector(gymnasium.make("Pendulum-v1")), np.random.default_rng(0)
        env.reset(seed=0)
        for _ in range(200):
            env.step(random.uniform(-2, 2, 1).astype(np.float32))
        env.create_dataset(DATA, algorithm_name="uniform", author="test")
        env.close()
        yield


@pytest.mark.parametrize("name", marked(NODES, QUICK[:1]))
def test_a_method_runs_on_a_bandit(tmp_path, name):
    steps = 64 if load().nodes[name]["setting"] == "on-policy" else 4
    found = run(tmp_path / name, name, "bandit/two-modes-1d", steps)
    assert np.isfinite(found["expected_reward"]).all()


ELSEWHERE = [n for n in NODES if n["critic"] not in ("reward", "group") and n.id not in FROZEN]


@pytest.mark.parametrize("name", marked(ELSEWHERE, QUICK))
def test_a_method_runs_where_actions_have_consequences(tmp_path, stored, name):
    offline = load().nodes[name]["setting"] == "offline" or name in ON_DATA
    found = run(tmp_path / name, name, f"minari/{DATA}" if offline else "gym/Pendulum-v1", 4 if offline else 64)
    assert all(map(math.isfinite, found.values()))


@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_policy_is_asked_for_before_anything_runs(tmp_path, name):
    done = attempt(tmp_path / name, name, "gym/Pendulum-v1", 64)
    assert str(done.exception) == f"{name} on gym/Pendulum-v1: a frozen policy needs a bandit"
    assert not (tmp_path / name).exists()
