"""What crosses file boundaries: batches, models, methods. The only module that published losses may import from us.

Conventions used everywhere:
actions `a`, noisy actions `x` and noises have shape (..., d); states `s` (..., ds); noise levels `t` (...,) with
t = 0 clean and larger t noisier; leading dimensions broadcast. x = alpha(t) a + sigma(t) eps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax

Array = jax.Array
Key = jax.Array


class Path(NamedTuple):
    """A forward noise path x_t = alpha(t) a + sigma(t) eps, and the law from which training draws t."""

    alpha: Callable[[Array], Array]
    sigma: Callable[[Array], Array]
    sample_t: Callable[[Key, tuple[int, ...]], Array]


class FieldPolicy(Protocol):
    """A policy given by a field over noisy actions; trained kind `field`.

    Not to be confused with a map policy: `sample` integrates the field over `grid`, a decreasing array of K+1
    noise levels.
    """

    path: Path
    grid: Array
    dim: int
    sampler: str
    min_std: float
    box: float | None
    mixing: float
    noise_level: float
    noise: Callable[[Array, Array, Array], Array] | None

    def eps(self, x: Array, t: Array, s: Array) -> Array: ...
    def x0(self, x: Array, t: Array, s: Array) -> Array: ...
    def velocity(self, x: Array, t: Array, s: Array) -> Array: ...
    def score(self, x: Array, t: Array, s: Array) -> Array: ...
    def step(self, x: Array, k: Array, s: Array) -> tuple[Array, Array]: ...
    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array: ...
    def chain(self, key: Key, s: Array) -> Array: ...
    def from_noise(self, z: Array, s: Array) -> Array: ...
    def action(self, x: Array) -> Array: ...


class MapPolicy(Protocol):
    """A one-step policy a = f(s, z) with z ~ N(0, I); trained kind `map`."""

    dim: int

    def __call__(self, s: Array, z: Array) -> Array: ...
    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array: ...
    def from_noise(self, z: Array, s: Array) -> Array: ...


class DensityPolicy(Protocol):
    """A policy with a closed-form density (Gaussian, squashed Gaussian, or a point); trained kind `density`."""

    dim: int

    def mean(self, s: Array) -> Array: ...
    def log_prob(self, s: Array, a: Array) -> Array: ...
    def entropy(self, s: Array) -> Array: ...
    def sample(self, key: Key, s: Array, lead: tuple[int, ...] = ()) -> Array: ...


Critic = Callable[[Array, Array], Array]
"""(s (..., ds), a (..., d)) -> heads (H, ...)."""
StepCritic = Callable[[Array, Array, Array], Array]
"""(s (..., ds), noisy action x (..., d), level t (...,)) -> heads (H, ...)."""


Energy = Callable[[Array, Array, Array], Array]
"""(x (..., d), t (...), s (..., ds)) -> (...): the log-weight of a noisy action, whose gradient guides a sampler."""


class Models(NamedTuple):
    """Every object a loss may read; gradients flow only through the one that is being trained.

    `old` is the previous iterate (the policy that drew stored chains and pairs, or the frozen copy of mirror
    descent); `behaviour` a model of the data law; targets are moving averages, but on-policy `target_value` is the
    value at the roll-out. `spread` are the standard deviations of a distributional critic, `logits` (H, ..., n) the
    log-odds of the atoms of a categorical one, `step_critic` values the states of a chain, `log_temperature` is a
    trained scalar.
    """

    actor: Any = None
    target_actor: Any = None
    old: Any = None
    behaviour: Any = None
    critic: Critic | None = None
    target_critic: Critic | None = None
    spread: Critic | None = None
    target_spread: Critic | None = None
    logits: Critic | None = None
    target_logits: Critic | None = None
    step_critic: StepCritic | None = None
    target_step_critic: StepCritic | None = None
    value: Callable[[Array], Array] | None = None
    target_value: Callable[[Array], Array] | None = None
    energy: Energy | None = None
    log_temperature: Array | None = None


class Batch(NamedTuple):
    """One batch of B transitions and whatever roll-outs stored beside them (None where a method needs none).

    s, next_s (B, ds); a (B, d); reward, not_done, advantage, returns (B,); chain (K+1, B, d) from noise to action
    ((K+1, B, 2d) where a sampler couples two copies of it), drawn by `Models.old`; pair_t (N, B) and pair_eps (N,
    B, d) stored at the roll-out; stored (B, d) what earlier updates left in the place of `a` where a method
    rewrites its buffer.
    Offline, returns are those of the data's own continuation.
    """

    s: Array
    a: Array
    reward: Array | None = None
    next_s: Array | None = None
    not_done: Array | None = None
    advantage: Array | None = None
    returns: Array | None = None
    chain: Array | None = None
    pair_t: Array | None = None
    pair_eps: Array | None = None
    stored: Array | None = None


Metrics = Mapping[str, Array]
Loss = Callable[..., tuple[Array, Metrics]]
"""(models, batch, key, *, hyper-parameters) -> (scalar, metrics)."""


class Method(NamedTuple):
    """What can be run or certified: losses by the name of the object each trains, and the acting rule.

    `trains` maps each trained object to its kind (field, noisy-field, flat, map, gaussian, deterministic, critic,
    gaussian-critic, categorical-critic, step-critic, value, energy, scalar); `act(models, s, key)` returns one executed
    action for each state; `rewrite(models, batch, key)` what the data loop writes in the place of `batch.stored` after
    an update (None: it leaves stored actions alone); `generate(models, s, key)` one action of the generator for each
    state (None: samples of the actor are actions).
    """

    name: str
    trains: Mapping[str, str]
    losses: Mapping[str, Loss]
    act: Callable[[Models, Array, Key], Array]
    rewrite: Callable[[Models, Batch, Key], Array] | None = None
    generate: Callable[[Models, Array, Key], Array] | None = None
