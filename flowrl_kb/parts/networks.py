"""Networks: the only file that knows how trained objects are parameterised. Parts and losses see bound functions.

The first layer keeps one matrix for each input (noisy action, action, noise, time, state) and adds the products with
broadcasting, so that K candidates for each state share one product of the state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.errors import unknown
from flowrl_kb.parts import policy
from flowrl_kb.parts import prediction as predictions
from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.types import Array, Key, Path

Params = Any

FREQUENCIES = 0.25 * 2.0 ** jnp.arange(8)
"""Multiples of pi in the time embedding; the lowest does not repeat on 0 <= t < 8, so that every path fits."""

LOG_STD = (-5.0, 2.0)
"""Range of a Gaussian policy's log standard deviation."""


GUESS = 0.5
"""Standard deviation of the actions that a new field on unbounded actions generates."""


PIECE = 1024
"""Rows of a critic's batch that fit a CPU's cache together; many more candidates are split (1.5 times faster)."""


class Shape(NamedTuple):
    """What a trained object is made for: `ds` and `d` are the state and action dimensions, `heads` those of critics.

    `path`, `grid`, `prediction`, `sampler`, `min_std` and `box` describe a field policy (see `parts.policy.Field`);
    `squash` a Gaussian on a box, `state_std` whether its standard deviation depends on the state, `scalar` where a
    trained scalar starts. `reach` (unbounded actions only) is the half-width inside which there are data: beyond it
    critics fall as -|a|^2 / 2, as the rewards of bandits do; a free network would extrapolate upwards somewhere.
    `waves` are angular frequencies whose sines and cosines of each action coordinate join the network's input, for
    laws that are much narrower than the unit box.
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
    box: float | None = None
    squash: bool = False
    state_std: bool = True
    scalar: float = 0.0
    reach: float | None = None
    waves: tuple[float, ...] = ()


def mish(x: Array) -> Array:
    """x tanh(softplus(x)) = x n / (n + 2) with n = e^x (e^x + 2): one exponential instead of three.

    Source: Misra 2020 (1908.08681), rewritten; beyond x = 20 the factor is one in single precision.
    """
    e = jnp.exp(jnp.minimum(x, 20.0))
    n = e * (e + 2.0)
    return x * (n / (n + 2.0))


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


def wide(p: Shape) -> int:
    """Length of `features`."""
    return p.d * (1 + 2 * len(p.waves))


def mlp(params: Params, inputs: Mapping[str, Array]) -> Array:
    """A perceptron whose first layer adds the products of its inputs; inputs (..., n) broadcast against each other."""
    h = params["bias"] + sum(x @ params["first"][name] for name, x in inputs.items())
    for layer in params["rest"]:
        h = mish(h) @ layer["w"] + layer["b"]
    return h


def perceptron(key: Key, inputs: Mapping[str, int], hidden: Sequence[int], out: int, last: float = 1.0) -> Params:
    """Parameters of `mlp`: variances 1 / fan-in, biases zero, the last layer scaled by `last`."""
    widths = [sum(inputs.values()), *hidden, out]
    layers = list(zip(widths[:-1], widths[1:], strict=True))
    # One draw for all weights: each separate draw would be compiled anew.
    normal = jax.random.normal(key, (sum(n * m for n, m in layers),))
    weights, at = [], 0
    for i, (n, m) in enumerate(layers):
        scale = n**-0.5 * (last if i == len(layers) - 1 else 1.0)
        weights.append(scale * normal[at : at + n * m].reshape(n, m))
        at += n * m
    edges = [0]
    for n in inputs.values():
        edges.append(edges[-1] + n)
    return {
        "first": {
            name: weights[0][start:stop]
            for name, start, stop in zip(inputs, edges[:-1], edges[1:], strict=True)
        },
        "bias": jnp.zeros(widths[1]),
        "rest": [{"w": w, "b": jnp.zeros(w.shape[1])} for w in weights[1:]],
    }


def _field(p: Shape, key: Key) -> Params:
    return perceptron(key, {"x": wide(p), "t": 2 * FREQUENCIES.size, "s": p.ds}, p.hidden, p.d, 0.1)


def _map(p: Shape, key: Key) -> Params:
    return perceptron(key, {"z": wide(p), "s": p.ds}, p.hidden, p.d)


def _gaussian(p: Shape, key: Key) -> Params:
    if p.state_std:
        return perceptron(key, {"s": p.ds}, p.hidden, 2 * p.d, 0.01)
    return {"mean": perceptron(key, {"s": p.ds}, p.hidden, p.d, 0.01), "log_std": jnp.full(p.d, -0.5)}


def _deterministic(p: Shape, key: Key) -> Params:
    return perceptron(key, {"s": p.ds}, p.hidden, p.d, 0.1)


def _heads(out: int) -> Callable[[Shape, Key], Params]:
    def make(p: Shape, key: Key) -> Params:
        one = lambda k: perceptron(k, {"s": p.ds, "a": wide(p)}, p.hidden, out)  # noqa: E731
        return jax.vmap(one)(jax.random.split(key, p.heads))

    return make


BUILD: dict[str, Callable[[Shape, Key], Params]] = {
    "field": _field,
    "map": _map,
    "gaussian": _gaussian,
    "deterministic": _deterministic,
    "critic": _heads(1),
    "gaussian-critic": _heads(2),
    "value": lambda p, key: perceptron(key, {"s": p.ds}, p.hidden, 1),
    "scalar": lambda p, key: jnp.asarray(p.scalar, jnp.float32),
}


def build(kind: str, shape: Shape, key: Key) -> Params:
    """Fresh parameters of one trained object. Errors: UnknownName for a kind that does not exist."""
    if kind not in BUILD:
        raise unknown("kind of trained object", kind, BUILD)
    return BUILD[kind](shape, key)


def bind(kind: str, params: Params, shape: Shape) -> Any:
    """The object that losses receive: a policy, a critic (s, a) -> (H, ...), a value s -> (...), or the scalar itself.

    A gaussian-critic binds to a pair of critics: means and standard deviations.
    """
    if kind not in BIND:
        raise unknown("kind of trained object", kind, BIND)
    return BIND[kind](params, shape)


def _gaussian_guess(p: Shape, x: Array, t: Array) -> Array:
    """The output that a field trained on N(0, GUESS^2) data would have: a skip connection for unbounded actions.

    A new noise network that outputs zero spreads samples over sigma / alpha times the unit box; on boxes the clip of
    the denoised action prevents that.
    """
    alpha, sigma = coefficients(p.path, t)
    total = (alpha * GUESS) ** 2 + sigma**2
    return predictions.target(p.prediction, p.path, alpha * GUESS**2 / total * x, sigma / total * x, t)


def _bind_field(params: Params, p: Shape) -> policy.Field:
    def net(x: Array, t: Array, s: Array) -> Array:
        t = jnp.asarray(t)
        size = jnp.sqrt(p.path.alpha(t) ** 2 + p.path.sigma(t) ** 2)[..., None]
        out = mlp(params, {"x": features(x / size, p.waves), "t": embed(t), "s": s})
        return out if p.reach is None else out + _gaussian_guess(p, x, t)

    return policy.Field(net, p.path, p.grid, p.d, p.prediction, p.sampler, p.min_std, p.box)


def _bind_map(params: Params, p: Shape) -> policy.Map:
    return policy.Map(lambda s, z: mlp(params, {"z": features(z, p.waves), "s": s}), p.d, p.box)


def _bind_gaussian(params: Params, p: Shape) -> policy.Gaussian:
    def net(s: Array) -> tuple[Array, Array]:
        if p.state_std:
            mean, log_std = jnp.split(mlp(params, {"s": s}), 2, axis=-1)
        else:
            mean = mlp(params["mean"], {"s": s})
            log_std = jnp.broadcast_to(params["log_std"], mean.shape)
        return mean, jnp.clip(log_std, *LOG_STD)

    return policy.Gaussian(net, p.d, p.squash)


def _bind_deterministic(params: Params, p: Shape) -> policy.Deterministic:
    def net(s: Array) -> Array:
        a = mlp(params, {"s": s})
        return a if p.box is None else p.box * jnp.tanh(a)

    return policy.Deterministic(net, p.d)


def _heads_of(params: Params, p: Shape, s: Array, a: Array) -> Array:
    """All outputs of all heads (H, ..., out); many candidates (K, B, d) for each state are taken a few at a time."""
    if p.reach is not None:
        inside = jnp.clip(a, -p.reach, p.reach)
        out = _pieces(params, s, features(inside, p.waves))
        return out.at[..., 0].add(-0.5 * jnp.sum(jnp.square(a) - jnp.square(inside), axis=-1))
    return _pieces(params, s, features(a, p.waves))


def _pieces(params: Params, s: Array, a: Array) -> Array:
    heads = jax.vmap(mlp, (0, None))
    rows = math.prod(a.shape[1:-1])
    if a.ndim != s.ndim + 1 or a.shape[0] * rows <= 4 * PIECE or jax.default_backend() != "cpu":
        return heads(params, {"s": s, "a": a})
    count = max(n for n in range(1, a.shape[0] + 1) if a.shape[0] % n == 0 and (n * rows <= PIECE or n == 1))
    split = a.reshape(a.shape[0] // count, count, *a.shape[1:])
    out = jax.lax.map(lambda part: heads(params, {"s": s, "a": part}), split)
    return jnp.moveaxis(out, 1, 0).reshape(out.shape[1], *a.shape[:-1], out.shape[-1])


def _bind_gaussian_critic(params: Params, p: Shape) -> tuple[Callable, Callable]:
    return (
        lambda s, a: _heads_of(params, p, s, a)[..., 0],
        lambda s, a: jax.nn.softplus(_heads_of(params, p, s, a)[..., 1]) + 1e-3,
    )


BIND: dict[str, Callable[[Params, Shape], Any]] = {
    "field": _bind_field,
    "map": _bind_map,
    "gaussian": _bind_gaussian,
    "deterministic": _bind_deterministic,
    "critic": lambda params, p: lambda s, a: _heads_of(params, p, s, a)[..., 0],
    "gaussian-critic": _bind_gaussian_critic,
    "value": lambda params, p: lambda s: mlp(params, {"s": s})[..., 0],
    "scalar": lambda params, p: params,
}
