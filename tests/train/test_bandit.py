"""Bandit runs reach the laws that their cards predict, and every method trains."""

import jax
import numpy as np
import pytest

from flowrl_kb.kb.load import load
from flowrl_kb.tasks import bandits, laws
from flowrl_kb.train import evaluate
from flowrl_kb.train.bandit_run import BanditRun

OFF_POLICY = [n for n, c in load().cards.items() if c.coordinates["setting"].value != "on-policy"]


def test_cloning_and_selection_reach_best_of_n(make_agent):
    task = bandits.get("two-modes-1d")
    agent = make_agent("idql", task, steps=1500, hidden=(32, 32), batch=128, critic="exact")
    run = BanditRun(agent, task, seeds=2, seed=0)
    while run.step < 1500:
        run.advance(1500)
    generated, executed = run.samples()
    key = jax.random.key(0)
    best = laws.best_of_n(task, best_of=agent.hyper["best_of"])
    assert np.asarray(evaluate.distances(best, executed, key)).max() < 0.02
    assert np.asarray(evaluate.distances(laws.behaviour(task), generated, key)).max() < 0.02
    # control: the two laws are told apart
    assert np.asarray(evaluate.distances(best, generated, key)).min() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("composed", [False, True], ids=["published", "composed"])
@pytest.mark.parametrize("name", OFF_POLICY)
def test_every_method_trains(make_agent, name, composed):
    task = bandits.get("two-modes-1d")
    run = BanditRun(make_agent(name, task, composed=composed), task, seeds=1, seed=0, chunk_length=20)
    metrics = run.advance(20)
    assert all(np.isfinite(v).all() for k, v in metrics.items() if not k.startswith("log_temperature"))
    assert all(np.isfinite(x).all() for x in run.samples())
