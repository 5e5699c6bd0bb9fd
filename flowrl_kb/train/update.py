"""One update of everything a method trains. The only file with optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from flowrl_kb.parts import networks
from flowrl_kb.parts.networks import Shape
from flowrl_kb.parts.types import Array, Batch, Key, Method, Models

Params = dict[str, Any]


PAIRS = {"gaussian-critic": "spread", "categorical-critic": "logits"}
"""Critics that come with a second function of (s, a), and its name among the models."""
HELD = ("value",)
"""Objects whose targets are no averages on-policy, but copies that `refresh` takes."""


class State(NamedTuple):
    """Parameters by the name of the trained object, their moving averages, the previous actor, optimizer states."""

    params: Params
    targets: Params
    old: Any
    optimizer: Params


class Trainer(NamedTuple):
    """`init(key) -> State`, `update(state, batch, key, step) -> (State, metrics)`, `models(state) -> Models`.

    `update` is pure and meant to be jitted inside a scan; `step` counts updates from 0 and is the same for all seeds,
    so that objects with a longer period stay a branch (not a select) under vmap.
    """

    init: Callable[[Key], State]
    update: Callable[[State, Batch, Key, Array], tuple[State, Mapping[str, Array]]]
    models: Callable[[State], Models]


def order(method: Method) -> list[str]:
    """Values and behaviour models first, then the actor, then scalars, each in the order of the declaration."""

    def rank(name: str) -> int:
        return 2 if method.trains[name] == "scalar" else int(name == "actor")

    return sorted(method.losses, key=rank)


def models_of(state: State, trains: Mapping[str, str], shapes: Mapping[str, Shape], fixed: Mapping) -> Models:
    """The objects that losses read. Arguments: `fixed` gives exact objects that stand in for trained ones."""
    bound: dict[str, Any] = {}
    for name, kind in trains.items():
        here = {name: state.params[name], f"target_{name}": state.targets.get(name)}
        for role, params in here.items():
            if params is None:
                continue
            thing = networks.bind(kind, params, shapes[name])
            if kind in PAIRS:
                thing, bound[role.replace("critic", PAIRS[kind])] = thing
            bound[role] = thing
    bound["old"] = networks.bind(trains["actor"], state.old, shapes["actor"])
    return Models(**{k: v for k, v in {**bound, **fixed}.items() if k in Models._fields})


def make(
    method: Method,
    shapes: Mapping[str, Shape],
    training: Mapping[str, Any],
    fixed: Mapping[str, Any] | None = None,
) -> Trainer:
    """Build the update of a method.

    Each trained object takes the gradient of its own loss with respect to its own parameters; every other object is a
    constant. Later objects in `order` see the new parameters of earlier ones. Adam; moving averages
    target <- target + rho (online - target) after every update; `old` becomes the actor before every `old_every`-th
    update (0: never; the roll-out loop then calls `refresh`, for which targets of HELD objects wait as well).
    `decay_steps` (None: constant) lets learning rates fall to 5 % along a cosine over so many updates.

    Arguments: `shapes` by object; `training` with learning_rate, target_rate, actor_every, old_every, gradient_norm, of
    which all but the periods may also be given for one object by its prefix (`critic_learning_rate`); `fixed` exact
    objects (`critic=exact`), whose losses are then skipped.
    """
    fixed = dict(fixed or {})
    names = [name for name in order(method) if name not in fixed]
    trains = {name: method.trains[name] for name in [*names, *(n for n in method.trains if n not in method.losses)]}

    def setting(name: str, what: str, default: Any = None) -> Any:
        return training.get(f"{name}_{what}", training.get(what, default))

    def period(name: str) -> int:
        return training.get(f"{name}_every", 1)

    def optimizer(name: str) -> optax.GradientTransformation:
        clip, rate = setting(name, "gradient_norm"), setting(name, "learning_rate", 3e-4)
        if training.get("decay_steps"):
            updates = max(training["decay_steps"] // period(name), 1)
            rate = optax.cosine_decay_schedule(rate, updates, alpha=0.05)
        adam = optax.adam(rate)
        return optax.chain(optax.clip_by_global_norm(clip), adam) if clip else adam

    optimizers = {name: optimizer(name) for name in names}
    renewal = training.get("old_every", 1)
    copied = [name for name in trains if trains[name] != "scalar"]
    averaged = [name for name in copied if renewal or name not in HELD]

    def models(state: State) -> Models:
        return models_of(state, trains, shapes, fixed)

    def init(key: Key) -> State:
        keys = jax.random.split(key, len(trains))
        params = {n: networks.build(trains[n], shapes[n], k) for n, k in zip(trains, keys, strict=True)}
        return State(
            params,
            {name: params[name] for name in copied},
            params["actor"],
            {name: optimizers[name].init(params[name]) for name in names},
        )

    def train_one(state: State, name: str, batch: Batch, key: Key) -> tuple[State, dict[str, Array]]:
        def loss(params: Any) -> tuple[Array, Mapping[str, Array]]:
            trial = state._replace(params={**state.params, name: params})
            return method.losses[name](models(trial), batch, key)

        (value, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(state.params[name])
        change, moments = optimizers[name].update(gradient, state.optimizer[name], state.params[name])
        state = state._replace(
            params={**state.params, name: optax.apply_updates(state.params[name], change)},
            optimizer={**state.optimizer, name: moments},
        )
        found = {"loss": value, **metrics}
        return state, {f"{name}/{k}": jnp.asarray(v, jnp.float32) for k, v in found.items()}

    def follow(name: str, target: Any, online: Any) -> Any:
        rate = setting(name, "target_rate", 0.005)
        return jax.tree.map(lambda t, o: t + rate * (o - t), target, online)

    def update(state: State, batch: Batch, key: Key, step: Array) -> tuple[State, dict[str, Array]]:
        report: dict[str, Array] = {}
        if renewal:
            keep = lambda old, actor: jnp.where(step % renewal == 0, actor, old)  # noqa: E731
            state = state._replace(old=jax.tree.map(keep, state.old, state.params["actor"]))
        keys = jax.random.split(key, len(names))
        for name, key_of in zip(names, keys, strict=True):
            every = period(name)
            run = lambda s, name=name, key_of=key_of: train_one(s, name, batch, key_of)  # noqa: E731
            if every > 1:
                blank = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), jax.eval_shape(run, state)[1])
                state, metrics = jax.lax.cond(step % every == 0, run, lambda s, blank=blank: (s, blank), state)
            else:
                state, metrics = run(state)
            report |= metrics
        moved = {name: follow(name, state.targets[name], state.params[name]) for name in averaged}
        return state._replace(targets={**state.targets, **moved}), report

    return Trainer(init, update, models)


def refresh(state: State) -> State:
    """Make the present actor the previous one and copy the present HELD objects, as every roll-out does."""
    held = {name: state.params[name] for name in HELD if name in state.params}
    return state._replace(old=state.params["actor"], targets={**state.targets, **held})
