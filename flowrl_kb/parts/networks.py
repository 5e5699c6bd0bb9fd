"""Networks: which flax module stands behind each kind of trained object. Parts and losses see bound functions only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from flowrl_kb.errors import unknown
from flowrl_kb.parts import policy
from flowrl_kb.parts import prediction as predictions
from flowrl_kb.parts.modules import BACKBONES, Critics, Gaussian, Nothing, Scalar
from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.types import Array, Key, Path

Params = Any
Net = Callable[[Mapping[str, Array]], Any]
"""A network with its parameters: named inputs (..., n) -> outputs."""

FREQUENCIES = 0.25 * 2.0 ** jnp.arange(8)
"""Multiples of pi in the time embedding; the lowest does not repeat on 0 <= t < 8, so that every path fits."""

GUESS = 0.5
"""Standard deviation of the actions that a new field on unbounded actions generates."""


PIECE = 1024
"""Rows of a critic's batch that fit a CPU's cache together; many more candidates are split (1.5 times faster)."""


class Shape(NamedTuple):
    """What a trained object is made for: `ds` and `d` are the state and action dimensions, `heads` those of critics.

    `path`, `grid`, `prediction`, `sampler`, `min_std`, `mixing`, `noise_level` and `box` describe a field policy (see
    `parts.policy.Field`), `max_std` is the upper bound of learned noise; `squash` a Gaussian on a box, `state_std`
    whether its standard deviation depends on the state, `scalar` where a trained scalar starts. `reach` (unbounded
    actions only) is the half-width inside which there are data: beyond it critics fall as -|a|^2 / 2, as the rewards
    of bandits do; a free network would extrapolate upwards somewhere. `waves` are angular frequencies whose sines and
    cosines of each action coordinate join the network's input, for laws that are much narrower than the unit box. A
    categorical critic has `atoms` that evenly fill `support`. `activation` is one of `modules.ACTIVATIONS`,
    `backbone` one of `modules.BACKBONES`.
    """

    ds: int
    d: int
    hidden: Sequence[int] = (256, 256, 256)
    heads: int = 2
    path: Path | None = None
    grid: Array | None = None
    prediction: str = "eps"
    sampler: str = "ancestral"
    min_std: float = 0.1
    max_std: float = 0.24
    mixing: float = 0.95
    noise_level: float = 0.7
    box: float | None = None
    squash: bool = False
    state_std: bool = True
    scalar: float = 0.0
    reach: float | None = None
    waves: tuple[float, ...] = ()
    atoms: int = 1
    support: tuple[float, float] = (0.0, 0.0)
    activation: str = "mish"
    backbone: str = "mlp"


def embed(t: Array) -> Array:
    """Cosines and sines of the noise level: t (...,) -> (..., 16)."""
    angle = jnp.pi * t[..., None] * FREQUENCIES
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def features(x: Array, waves: Sequence[float]) -> Array:
    """Coordinates with their sines and cosines: x (..., d) -> (..., d (1 + 2 len(waves)))."""
    parts = [x]
    for w in waves:
        parts += [jnp.sin(w * x), jnp.cos(w * x)]
    return jnp.concatenate(parts, axis=-1) if waves else x


def _gaussian_guess(p: Shape, x: Array, t: Array) -> Array:
    """The output that a field trained on N(0, GUESS^2) data would have: a skip connection for unbounded actions.

    A new noise network that outputs zero spreads samples over sigma / alpha times the unit box; on boxes the clip of
    the denoised action prevents that.
    """
    alpha, sigma = coefficients(p.path, t)
    total = (alpha * GUESS) ** 2 + sigma**2
    return predictions.target(p.prediction, p.path, alpha * GUESS**2 / total * x, sigma / total * x, t)


def _field(net: Net, p: Shape) -> policy.Field:
    def output(x: Array, t: Array, s: Array) -> Array:
        t = jnp.asarray(t)
        out = _noisy(net, p, x, t, s)
        return out if p.reach is None else out + _gaussian_guess(p, x, t)

    return policy.Field(output, p.path, p.grid, p.d, p.prediction, p.sampler, p.min_std, p.box, p.mixing, p.noise_level)


def _flat(net: Net, p: Shape) -> policy.Field:
    """The field of no law in particular, whose score is zero: what an energy moves where no actor is trained."""
    drawn = (p.path, p.grid, p.d, "eps", p.sampler, p.min_std, p.box)
    return policy.Field(lambda x, t, s: jnp.zeros_like(x), *drawn)


def _noisy_field(net: Net, p: Shape) -> policy.Field:
    """A field with its own network for the deviation of its steps, min_std (max_std / min_std)^((1 + tanh f) / 2)."""

    def noise(x: Array, t: Array, s: Array) -> Array:
        share = 0.5 + 0.5 * jnp.tanh(_noisy(net, p, x, jnp.asarray(t), s)[1])
        return p.min_std * (p.max_std / p.min_std) ** share

    return replace(_field(lambda inputs: net(inputs)[0], p), noise=noise)


def _noisy(net: Net, p: Shape, x: Array, t: Array, s: Array) -> Array:
    """The network's outputs at a noisy action, scaled to the unit deviation of pure noise."""
    size = jnp.sqrt(p.path.alpha(t) ** 2 + p.path.sigma(t) ** 2)[..., None]
    return net({"x": features(x / size, p.waves), "t": embed(t), "s": s})


def _map(net: Net, p: Shape) -> policy.Map:
    return policy.Map(lambda s, z: net({"z": features(z, p.waves), "s": s}), p.d, p.box)


def _deterministic(net: Net, p: Shape) -> policy.Deterministic:
    bounded = lambda a: a if p.box is None else p.box * jnp.tanh(a)  # noqa: E731
    return policy.Deterministic(lambda s: bounded(net({"s": s})), p.d)


def _heads(net: Net, p: Shape, s: Array, a: Array) -> Array:
    """All outputs of all heads (H, ..., out); many candidates (K, B, d) for each state are taken a few at a time."""
    if p.reach is not None:
        inside = jnp.clip(a, -p.reach, p.reach)
        out = _pieces(net, s, features(inside, p.waves))
        return out.at[..., 0].add(-0.5 * jnp.sum(jnp.square(a) - jnp.square(inside), axis=-1))
    return _pieces(net, s, features(a, p.waves))


def _pieces(net: Net, s: Array, a: Array) -> Array:
    rows = math.prod(a.shape[1:-1])
    if a.ndim != s.ndim + 1 or a.shape[0] * rows <= 4 * PIECE or jax.default_backend() != "cpu":
        return net({"s": s, "a": a})
    count = max(n for n in range(1, a.shape[0] + 1) if a.shape[0] % n == 0 and (n * rows <= PIECE or n == 1))
    split = a.reshape(a.shape[0] // count, count, *a.shape[1:])
    out = jax.lax.map(lambda part: net({"s": s, "a": part}), split)
    return jnp.moveaxis(out, 1, 0).reshape(out.shape[1], *a.shape[:-1], out.shape[-1])


def _gaussian_critic(net: Net, p: Shape) -> tuple[Callable, Callable]:
    return (
        lambda s, a: _heads(net, p, s, a)[..., 0],
        lambda s, a: jax.nn.softplus(_heads(net, p, s, a)[..., 1]) + 1e-3,
    )


def _categorical_critic(net: Net, p: Shape) -> tuple[Callable, Callable]:
    def logits(s: Array, a: Array) -> Array:
        return _pieces(net, s, features(a if p.reach is None else jnp.clip(a, -p.reach, p.reach), p.waves))

    def mean(s: Array, a: Array) -> Array:
        value = jax.nn.softmax(logits(s, a)) @ jnp.linspace(*p.support, p.atoms)
        if p.reach is None:
            return value
        return value - 0.5 * jnp.sum(jnp.square(a) - jnp.square(jnp.clip(a, -p.reach, p.reach)), axis=-1)

    return mean, logits


def _noisy_value(net: Net, p: Shape) -> Callable:
    """Values of (x, t, s); where actions are unbounded they fall as those of critics do, outside twice the reach."""

    def value(x: Array, t: Array, s: Array) -> Array:
        t = jnp.asarray(t)
        x = x / jnp.sqrt(p.path.alpha(t) ** 2 + p.path.sigma(t) ** 2)[..., None]
        inside = x if p.reach is None else jnp.clip(x, -2.0 * p.reach, 2.0 * p.reach)
        out = net({"x": features(inside, p.waves), "t": embed(t), "s": s})[..., 0]
        return out - 0.5 * jnp.sum(jnp.square(x) - jnp.square(inside), axis=-1)

    return value


def _step_critic(net: Net, p: Shape) -> Callable:
    value = _noisy_value(net, p)
    return lambda s, x, t: value(x, t, s)


class Kind(NamedTuple):
    """A kind of trained object: its module, the inputs that the module names, and what losses see of it."""

    module: Callable[[Shape], nn.Module]
    inputs: str
    bind: Callable[[Net, Shape], Any]


def _one(p: Shape, out: int, last: float = 1.0) -> nn.Module:
    return BACKBONES[p.backbone](tuple(p.hidden), out, last, p.activation)


def _several(p: Shape, out: int, heads: int | None = None, last: float = 1.0) -> Critics:
    return Critics(heads or p.heads, tuple(p.hidden), out, last, p.activation, p.backbone)


KINDS: dict[str, Kind] = {
    "field": Kind(lambda p: _one(p, p.d, 0.1), "xts", _field),
    "noisy-field": Kind(lambda p: _several(p, p.d, 2, 0.1), "xts", _noisy_field),
    "flat": Kind(lambda p: Nothing(), "", _flat),
    "map": Kind(lambda p: _one(p, p.d), "zs", _map),
    "gaussian": Kind(
        lambda p: Gaussian(tuple(p.hidden), p.d, p.state_std, p.activation, p.backbone),
        "s",
        lambda net, p: policy.Gaussian(lambda s: net({"s": s}), p.d, p.squash),
    ),
    "deterministic": Kind(lambda p: _one(p, p.d, 0.1), "s", _deterministic),
    "critic": Kind(lambda p: _several(p, 1), "sa", lambda net, p: lambda s, a: _heads(net, p, s, a)[..., 0]),
    "gaussian-critic": Kind(lambda p: _several(p, 2), "sa", _gaussian_critic),
    "categorical-critic": Kind(lambda p: _several(p, p.atoms), "sa", _categorical_critic),
    "step-critic": Kind(lambda p: _several(p, 1), "xts", _step_critic),
    "value": Kind(lambda p: _one(p, 1), "s", lambda net, p: lambda s: net({"s": s})[..., 0]),
    "energy": Kind(lambda p: _one(p, 1, 0.1), "xts", _noisy_value),
    "scalar": Kind(lambda p: Scalar(p.scalar), "", lambda net, p: net({})),
}
"""Inputs by letter: noisy action x, time t, state s, noise z, action a."""


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise unknown("kind of trained object", name, KINDS)
    return KINDS[name]


def build(kind: str, shape: Shape, key: Key) -> Params:
    """Fresh parameters of one trained object. Errors: UnknownName for a kind that does not exist."""
    made, wide = _kind(kind), shape.d * (1 + 2 * len(shape.waves))
    sizes = {"x": wide, "z": wide, "a": wide, "t": 2 * FREQUENCIES.size, "s": shape.ds}
    inputs = {name: jax.ShapeDtypeStruct((sizes[name],), jnp.float32) for name in made.inputs}
    return made.module(shape).lazy_init(key, inputs).get("params", {})


def bind(kind: str, params: Params, shape: Shape) -> Any:
    """The object that losses receive: a policy, a critic (s, a) -> (H, ...), a value s -> (...), an energy
    (x, t, s) -> (...), or the scalar itself.

    A gaussian-critic binds to a pair of critics, means and standard deviations; a categorical-critic to means and
    log-odds (H, ..., atoms).
    """
    made = _kind(kind)
    module = made.module(shape)
    return made.bind(lambda inputs: module.apply({"params": params}, inputs), shape)
