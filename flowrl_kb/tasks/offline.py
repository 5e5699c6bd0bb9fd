"""Offline data sets through Minari: transitions of one data set, and the environment of it."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np

from flowrl_kb.errors import MissingExtra, UserError, nearest
from flowrl_kb.tasks.gym import unit


class DataSet(NamedTuple):
    """A data set by its Minari id; `id` is its environment's. Actions live in [-box, box]^d."""

    name: str
    id: str
    ds: int
    d: int
    dataset: str
    box: float = 1.0


class Transitions(NamedTuple):
    """All steps of a data set, episode after episode: s, next_s (n, ds); a (n, d); the others (n,).

    `returns` are the discounted rewards from a step to the end of its episode.
    """

    s: np.ndarray
    a: np.ndarray
    reward: np.ndarray
    next_s: np.ndarray
    terminated: np.ndarray
    returns: np.ndarray


def minari() -> Any:
    """The library. Errors: MissingExtra."""
    try:
        import minari as library
    except ImportError as error:
        raise MissingExtra(f"data sets need {error.name}: pip install 'flowrl-kb[envs]'") from None
    return library


def local() -> dict[str, dict[str, Any]]:
    """The data sets on this machine, by id, with their metadata."""
    return minari().list_local_datasets()


def load(id: str) -> Any:
    """Minari's data set, downloaded where it is not on this machine. Errors: UserError in one line."""
    library, here = minari(), local()
    logging.getLogger("huggingface_hub.utils").setLevel(logging.ERROR)  # it announces every retry
    try:
        return library.load_dataset(id, download=id not in here)
    except Exception as error:  # whatever its hosts and their libraries raise, without a network foremost
        said = str(error).strip().splitlines() or [type(error).__name__]
        collect = "collect one: flowrl-kb data collect pendulum/sac-v0 --task gym/Pendulum-v1 --method sac"
        close = nearest(id, here)
        hint = f"did you mean {close}?" if close else collect
        raise UserError(f"data set {id!r} is not on this machine and cannot be fetched ({said[0]}); {hint}") from None


def get(id: str) -> DataSet:
    """The task of a data set. Errors: UserError for other spaces than boxes of one dimension, or no environment."""
    data = load(id)
    for what, space in (("actions", data.action_space), ("observations", data.observation_space)):
        if type(space).__name__ != "Box" or len(space.shape) != 1:
            raise UserError(f"task minari/{id}: found {what} {space}, expected a box of one dimension")
    if data.env_spec is None:
        raise UserError(f"task minari/{id}: the data set names no environment, so that nothing can be evaluated")
    return DataSet(f"minari/{id}", data.env_spec.id, data.observation_space.shape[0], data.action_space.shape[0], id)


def transitions(task: DataSet, discount: float) -> Transitions:
    """Read a data set whole; its actions are scaled to the unit box."""
    data = load(task.dataset)
    centre, half = unit(data.action_space)
    parts = [_episode(episode, centre, half, discount) for episode in data.iterate_episodes()]
    return Transitions(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _episode(episode: Any, centre: np.ndarray, half: np.ndarray, discount: float) -> Transitions:
    s, reward = np.asarray(episode.observations, np.float32), np.asarray(episode.rewards, np.float32)
    a = ((np.asarray(episode.actions) - centre) / half).astype(np.float32)
    returns, ahead = np.zeros_like(reward), 0.0
    for i in range(len(reward) - 1, -1, -1):
        ahead = returns[i] = reward[i] + discount * ahead
    return Transitions(s[:-1], a, reward, s[1:], np.asarray(episode.terminations, bool), returns)
