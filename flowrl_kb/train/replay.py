"""A replay buffer in preallocated arrays."""

from __future__ import annotations

import numpy as np

from flowrl_kb.parts.types import Batch


class Replay:
    """The last `capacity` transitions; batches are drawn uniformly with replacement.

    With `rewrites` it also keeps `stored`, the actions as updates have rewritten them.
    """

    def __init__(self, capacity: int, ds: int, d: int, rewrites: bool = False):
        self.names = ("s", "a", "reward", "next_s", "not_done", *(("stored",) if rewrites else ()))
        self.s, self.next_s = np.zeros((capacity, ds), np.float32), np.zeros((capacity, ds), np.float32)
        self.a = np.zeros((capacity, d), np.float32)
        self.stored = np.zeros((capacity, d), np.float32) if rewrites else None
        self.drawn = np.zeros(0, int)
        self.reward, self.not_done = np.zeros(capacity, np.float32), np.zeros(capacity, np.float32)
        self.at = self.size = 0

    @property
    def capacity(self) -> int:
        return len(self.reward)

    def add(self, s, a, reward, next_s, terminated) -> None:
        """Append n transitions; each argument has a leading axis of length n."""
        n = len(reward)
        where = (self.at + np.arange(n)) % self.capacity
        self.s[where], self.a[where], self.next_s[where] = s, a, next_s
        if self.stored is not None:
            self.stored[where] = a
        self.reward[where], self.not_done[where] = reward, 1.0 - np.asarray(terminated, np.float32)
        self.at, self.size = (self.at + n) % self.capacity, min(self.size + n, self.capacity)

    def sample(self, random: np.random.Generator, shape: tuple[int, int], scale: float = 1.0) -> Batch:
        """`shape` = (updates, batch) transitions, rewards multiplied by `scale`."""
        i = self.drawn = random.integers(0, self.size, shape)
        return Batch(
            s=self.s[i],
            a=self.a[i],
            reward=scale * self.reward[i],
            next_s=self.next_s[i],
            not_done=self.not_done[i],
            stored=None if self.stored is None else self.stored[i],
        )

    def rewrite(self, stored) -> None:
        """Write what updates made of the last drawn actions, (updates, batch, d), in their place."""
        self.stored[self.drawn] = stored

    def state(self) -> dict[str, np.ndarray]:
        """Arrays of the filled part, rounded up to a power of two so that checkpoints stay small."""
        keep = min(self.capacity, 1 << max(self.size - 1, 0).bit_length())
        return {name: getattr(self, name)[:keep] for name in self.names} | {"place": np.array([self.at, self.size])}

    def load(self, state: dict[str, np.ndarray]) -> None:
        for name in self.names:
            kept = np.asarray(state[name])
            getattr(self, name)[: len(kept)] = kept
        self.at, self.size = (int(x) for x in state["place"])
