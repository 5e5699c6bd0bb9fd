"""Advantages by hand, picking along the right axis, and a bandit that PPO improves on."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.errors import UserError
from flowrl_kb.parts.types import Batch
from flowrl_kb.tasks import bandits
from flowrl_kb.train.bandit_run import OnPolicyBanditRun
from flowrl_kb.train.on_policy import advantages, bandit_round, pick


def test_advantages_by_hand():
    """Three steps of one copy: an episode is cut off (not terminated) after the second."""
    column = lambda *x: jnp.array(x, float)[:, None]  # noqa: E731
    found = advantages(
        column(1, 2, 3),
        column(10, 20, 30),
        column(20, 40, 50),
        column(0, 0, 1),
        column(0, 1, 1),
        discount=0.5,
        gae_lambda=0.5,
    )
    delta = [1 + 10 - 10, 2 + 20 - 20, 3 + 0 - 30]
    np.testing.assert_allclose(found[:, 0], [delta[0] + 0.25 * delta[1], delta[1], delta[2]])


def test_pick_keeps_chains_with_their_actions():
    n = jnp.arange(4.0)
    data = Batch(s=n[:, None], a=n[:, None], chain=jnp.stack([n, n])[..., None], pair_t=jnp.stack([n] * 3))
    found = pick(data, jnp.array([2, 0]))
    assert found.s[:, 0].tolist() == [2, 0]
    assert found.chain[1, :, 0].tolist() == [2, 0] and found.pair_t[2].tolist() == [2, 0]
    assert found.reward is None


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("dppo", "fpo", "genpo")]


@pytest.mark.parametrize("name", ["ppo", *SLOW])
def test_on_policy_methods_raise_the_reward(make_agent, name):
    task = bandits.get("two-modes-1d")
    agent = make_agent(name, task, steps=400, learning_rate=3e-3, rollout=256)
    run = OnPolicyBanditRun(agent, task, seeds=2, seed=0)
    before = np.asarray(run.evaluate()["reward/executed"])
    while run.step < 400:
        run.advance(400)
    after = np.asarray(run.evaluate()["reward/executed"])
    assert (after > before + 0.1).all()


def test_without_a_state_value_the_roll_out_is_the_baseline(make_agent):
    task = bandits.get("two-modes-1d")
    agent = make_agent("awm", task, steps=4, rollout=64, minibatches=1, epochs=1)
    seen = []

    def update(state, batch, key, step):
        seen.append(batch)
        return agent.trainer.update(state, batch, key, step)

    spying = agent._replace(trainer=agent.trainer._replace(update=update))
    key = jax.random.key(0)
    with jax.disable_jit():
        bandit_round(spying, task)(agent.trainer.init(key), key, jnp.array(0))
    r = bandits.reward(task, seen[0].a)
    np.testing.assert_allclose(seen[0].advantage, (r - r.mean()) / r.std(), atol=1e-4)


def test_a_group_needs_a_bandit(make_agent):
    with pytest.raises(UserError, match="awm on .*: a frozen policy needs a bandit"):
        make_agent("awm", SimpleNamespace(name="Hopper-v5", ds=11, d=3, box=1.0), steps=4)


def test_a_return_of_a_stored_action_needs_a_bandit(make_agent):
    with pytest.raises(UserError, match="awr on .*: the return of a stored action needs a bandit"):
        make_agent("awr", SimpleNamespace(name="Hopper-v5", ds=11, d=3, box=1.0))
