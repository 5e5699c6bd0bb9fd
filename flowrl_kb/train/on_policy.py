"""On-policy training: roll out the present policy, then a few epochs of minibatch updates. Gymnasium and bandits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered

from flowrl_kb.parts.types import Array, Batch, Key
from flowrl_kb.tasks import bandits
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.tasks.gym import Envs, Task
from flowrl_kb.train import off_policy
from flowrl_kb.train.agent import Agent
from flowrl_kb.train.update import State, refresh

ALONG_SECOND = ("chain", "pair_t", "pair_eps")
"""Fields of a batch whose second axis counts transitions; it is the first one elsewhere."""


def advantages(
    reward: Array, value: Array, next_value: Array, terminated: Array, ended: Array, *, discount, gae_lambda
) -> Array:
    """Generalised advantage estimates (T, n) of roll-outs of length T.

    A_t = delta_t + gamma lambda (1 - ended_t) A_{t+1}, delta_t = r_t + gamma (1 - terminated_t) V(s'_t) - V(s_t), where
    an episode that was cut off bootstraps from its last state. Source: Schulman et al. 2016 (1506.02438), eq. 16.
    """
    delta = reward + discount * (1.0 - terminated) * next_value - value

    def back(later: Array, xs: tuple[Array, Array]) -> tuple[Array, Array]:
        here = xs[0] + discount * gae_lambda * (1.0 - xs[1]) * later
        return here, here

    return jax.lax.scan(back, jnp.zeros_like(delta[0]), (delta, ended.astype(delta.dtype)), reverse=True)[1]


def explorer(agent: Agent) -> Callable[[State, Array, Key], Batch]:
    """Act in states (n, ds) and store what the losses will need beside the action.

    Likelihoods by denoising losses (`cfm-...`) keep `pairs` noise levels and noises for each action; other field
    policies keep their chain, whose last state holds the action.
    """
    method = agent.method
    pairs = agent.hyper.get("pairs", 1) if agent.coordinates["likelihood"].startswith("cfm") else 0

    def explore(state: State, s: Array, key: Key) -> Batch:
        models = agent.trainer.models(state)
        k_act, k_time, k_noise = jax.random.split(key, 3)
        if pairs:
            a = method.act(models, s, k_act)
            t = models.actor.path.sample_t(k_time, (int(pairs), *s.shape[:-1]))
            return Batch(s=s, a=a, pair_t=t, pair_eps=jax.random.normal(k_noise, (int(pairs), *a.shape)))
        if agent.coordinates["policy"] == "field":
            chain = models.actor.chain(k_act, s)
            return Batch(s=s, a=models.actor.action(chain[-1]), chain=chain)
        return Batch(s=s, a=method.act(models, s, k_act))

    return explore


def pick(data: Batch, index: Array) -> Batch:
    """The transitions of a batch at `index`."""
    return Batch(
        *(
            None if x is None else jnp.take(x, index, axis=int(name in ALONG_SECOND))
            for name, x in zip(Batch._fields, data, strict=True)
        )
    )


def improver(agent: Agent) -> Callable[[State, Batch, Key, Array], tuple[State, dict[str, Array]]]:
    """Epochs of shuffled minibatches over one roll-out; advantages are standardised over the roll-out.

    `step` counts updates before this round.
    """
    epochs, parts = agent.training["epochs"], agent.training["minibatches"]

    def improve(state: State, data: Batch, key: Key, step: Array) -> tuple[State, dict[str, Array]]:
        n = data.s.shape[0]
        spread = jnp.std(data.advantage) + 1e-8
        data = data._replace(advantage=(data.advantage - jnp.mean(data.advantage)) / spread)
        k_order, k_update = jax.random.split(key)
        order = jax.vmap(lambda k: jax.random.permutation(k, n))(jax.random.split(k_order, epochs))
        index = order[:, : n // parts * parts].reshape(epochs * parts, n // parts)

        def one(state: State, xs: tuple[Array, Key, Array]) -> tuple[State, dict[str, Array]]:
            chosen, k, at = xs
            return agent.trainer.update(state, pick(data, chosen), k, at)

        rounds = epochs * parts
        xs = (index, jax.random.split(k_update, rounds), step + jnp.arange(rounds))
        state, metrics = jax.lax.scan(one, refresh(state), xs)
        return state, jax.tree.map(jnp.nanmean, metrics)

    return improve


def with_advantages(agent: Agent, state: State, data: Batch, ended: Array, length: int) -> Batch:
    """Fill in advantages and returns = A + V; transitions are ordered by time, then by copy."""
    models = agent.trainer.models(state)
    value, following = models.value(data.s), models.value(data.next_s)
    rows = [x.reshape(length, -1) for x in (data.reward, value, following, 1.0 - data.not_done, ended)]
    found = advantages(
        *rows, discount=agent.hyper["discount"], gae_lambda=agent.hyper.get("gae_lambda", agent.training["gae_lambda"])
    )
    return data._replace(advantage=found.reshape(-1), returns=found.reshape(-1) + value)


class OnPolicyRun:
    """An on-policy run on Gymnasium as `drive.Run`; steps are environment steps, counted over all copies."""

    unit = "steps"

    def __init__(self, agent: Agent, task: Task, seed: int):
        self.agent, self.task, self.seed = agent, task, seed
        self.step = self.updates = 0
        self.envs = Envs(task, agent.training["envs"], seed)
        k_init, self.key = jax.random.split(jax.random.key(seed))
        self.train_state = jax.jit(agent.trainer.init)(k_init)
        self._explore = jax.jit(explorer(agent))
        self._act = jax.jit(lambda state, s, key: agent.method.act(agent.trainer.models(state), s, key))
        length, improve = agent.training["rollout"], improver(agent)

        def learn(state: State, data: Batch, ended: Array, key: Key, step: Array):
            return improve(state, with_advantages(agent, state, data, ended, length), key, step)

        self._learn = jax.jit(learn, donate_argnums=0)

    def advance(self, limit: int) -> dict[str, Any]:
        """One roll-out of the configured length (whatever the limit) and its updates."""
        training, rows, ends = self.agent.training, [], []
        for _ in range(training["rollout"]):
            key = jax.random.fold_in(self.key, self.step)
            found = jax.tree.map(np.asarray, self._explore(self.train_state, self.envs.s, key))
            reward, following, terminated, ended = self.envs.step(found.a)
            done = found._replace(
                reward=training["reward_scale"] * reward, next_s=following, not_done=1.0 - terminated.astype(np.float32)
            )
            rows.append(done)
            ends.append(ended)
            self.step += len(reward)
        data = Batch(
            *(
                None if column[0] is None else np.concatenate(column, axis=int(name in ALONG_SECOND))
                for name, column in zip(Batch._fields, zip(*rows, strict=True), strict=True)
            )
        )
        key = jax.random.fold_in(self.key, 2**31 + self.updates)
        self.train_state, metrics = self._learn(self.train_state, data, np.concatenate(ends), key, self.updates)
        self.updates += training["epochs"] * training["minibatches"]
        metrics = {name: float(value) for name, value in metrics.items()}
        if self.envs.finished:
            metrics["return/training"] = float(np.mean(self.envs.finished))
            self.envs.finished.clear()
        return metrics | {"updates": self.updates}

    def compile(self) -> None:
        """Nothing ahead: the roll-out comes first."""

    def trace(self) -> tuple[Lowered, ...]:
        length, n = self.agent.training["rollout"], self.agent.training["envs"]
        one = jax.eval_shape(self._explore, self.train_state, self.envs.s, self.key)
        grow = lambda x, axis: jax.ShapeDtypeStruct((*x.shape[:axis], length * n, *x.shape[axis + 1 :]), x.dtype)  # noqa: E731
        data = Batch(
            *(
                None if x is None else grow(x, int(name in ALONG_SECOND))
                for name, x in zip(Batch._fields, one, strict=True)
            )
        )
        row = jax.ShapeDtypeStruct((length * n,), jnp.float32)
        data = data._replace(reward=row, next_s=data.s, not_done=row)
        return (
            self._learn.lower(self.train_state, data, jax.ShapeDtypeStruct((length * n,), bool), self.key, 0),
            self._explore.lower(self.train_state, self.envs.s, self.key),
        )

    def evaluate(self) -> dict[str, float]:
        act = lambda s, key: np.asarray(self._act(self.train_state, s, key))  # noqa: E731
        key = jax.random.fold_in(self.key, 2**30 + self.step)
        return off_policy.evaluate(act, self.task, self.seed + 1_000_003, key)

    def state(self) -> Any:
        counters = np.array([self.updates], float)
        return {"train": self.train_state, "envs": self.envs.state(), "counters": counters}

    def load(self, step: int, state: Any) -> None:
        self.step, self.train_state = step, state["train"]
        self.envs.load(state["envs"])
        self.updates = int(state["counters"][0])


def bandit_round(agent: Agent, task: Bandit) -> Callable[[State, Key, Array], tuple[State, dict[str, Array]]]:
    """One roll-out of one-step episodes and its updates: (state of one seed, key, updates before) -> state, metrics.

    A method without a state value takes the roll-out, whose actions share their state, as one group.
    """
    n, scale = agent.training["rollout"] * agent.training["envs"], agent.training["reward_scale"]
    explore, improve = explorer(agent), improver(agent)

    def one(state: State, key: Key, step: Array) -> tuple[State, dict[str, Array]]:
        k_explore, k_improve = jax.random.split(key)
        found = explore(state, bandits.states((n,)), k_explore)
        r = scale * bandits.reward(task, found.a)
        of_state = agent.trainer.models(state).value
        value = jnp.mean(r) if of_state is None else of_state(found.s)
        data = found._replace(reward=r, advantage=r - value, returns=r)
        return improve(state, data, k_improve, step)

    return one
