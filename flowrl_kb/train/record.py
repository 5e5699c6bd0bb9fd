"""Episodes of a trained policy as a Minari data set, with where they came from."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from flowrl_kb.tasks import gym, offline
from flowrl_kb.train.off_policy import OffPolicyRun


def record(run: OffPolicyRun, id: str, episodes: int, provenance: Mapping[str, Any]) -> Any:
    """Store whole episodes of what a run executes, acting noise included, as the new data set `id`.

    Episode i starts from seed `run.seed` + 2000003 + i. `provenance` is kept as JSON in the metadata, key `flowrl_kb`.
    """
    env = offline.minari().DataCollector(gym.make(run.task.id))
    (centre, half), key = gym.unit(env.action_space), jax.random.fold_in(run.key, 2**29)
    for i in range(episodes):
        s, _ = env.reset(seed=run.seed + 2_000_003 + i)
        start, t, ended = jax.random.fold_in(key, i), 0, False
        while not ended:
            a = np.asarray(run.act(np.asarray(s, np.float32)[None], jax.random.fold_in(start, t)))[0]
            s, _, terminated, truncated, _ = env.step((centre + half * np.clip(a, -1.0, 1.0)).astype(centre.dtype))
            ended, t = terminated or truncated, t + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for an e-mail address and a link to code
        made = env.create_dataset(id, algorithm_name=str(provenance["method"]), author="flowrl-kb")
    env.close()
    made.storage.update_metadata({"flowrl_kb": json.dumps(dict(provenance), default=str)})
    return made
