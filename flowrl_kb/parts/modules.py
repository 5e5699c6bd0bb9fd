"""Flax modules of trained objects: perceptrons whose inputs broadcast, with one or several heads.

The first layer keeps one matrix for each input (noisy action, action, noise, time, state) and adds the products with
broadcasting, so that K candidates for each state share one product of the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from flowrl_kb.parts.types import Array

LOG_STD = (-5.0, 2.0)
"""Range of a Gaussian policy's log standard deviation."""


def mish(x: Array) -> Array:
    """x tanh(softplus(x)) = x n / (n + 2) with n = e^x (e^x + 2): one exponential instead of three.

    Source: Misra 2020 (1908.08681), rewritten; beyond x = 20 the factor is one in single precision.
    """
    e = jnp.exp(jnp.minimum(x, 20.0))
    n = e * (e + 2.0)
    return x * (n / (n + 2.0))


ACTIVATIONS = {"mish": mish, "relu": nn.relu, "gelu": nn.gelu, "elu": nn.elu, "tanh": nn.tanh}
"""Between layers, by name."""


class Perceptron(nn.Module):
    """A perceptron whose first layer adds the products of its inputs; inputs (..., n) broadcast against each other.

    Weights start normal with variances 1 / fan-in, those of the last layer scaled by `last`, biases at zero.
    """

    hidden: Sequence[int]
    out: int
    last: float = 1.0
    activation: str = "mish"

    @nn.compact
    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        ends = np.cumsum([x.shape[-1] for x in inputs.values()]).tolist()
        first, *rest = self._kernels([ends[-1], *self.hidden, self.out])
        h = self.param("bias", nn.initializers.zeros, first.shape[1:])
        for (name, x), end in zip(inputs.items(), ends, strict=True):
            rows = first[end - x.shape[-1] : end]
            h = h + x @ self.param(name, lambda _, rows=rows: rows)
        active = ACTIVATIONS[self.activation]
        for kernel in rest:
            h = nn.Dense(kernel.shape[1], kernel_init=lambda *_, kernel=kernel: kernel)(active(h))
        return h

    def _kernels(self, widths: Sequence[int]) -> list[Array]:
        """First matrices between layers of these widths; zeros where parameters are given and only shapes are read.

        One draw for all: each separate draw is compiled anew, which took six times as long.
        """
        shapes = list(zip(widths[:-1], widths[1:], strict=True))
        edges = [0, *np.cumsum([n * m for n, m in shapes]).tolist()]
        if not self.is_initializing():
            return [np.zeros(shape) for shape in shapes]
        normal = jax.random.normal(self.make_rng("params"), (edges[-1],))
        scales = [n**-0.5 for n in widths[:-2]] + [self.last * widths[-2] ** -0.5]
        return [
            c * normal[start:stop].reshape(shape)
            for c, start, stop, shape in zip(scales, edges[:-1], edges[1:], shapes, strict=True)
        ]


def _joined(module: nn.Module, width: int, inputs: Mapping[str, Array]) -> Array:
    """The first layer of a residual network: one matrix for each input, whose products broadcast."""
    draw = nn.initializers.normal(sum(x.shape[-1] for x in inputs.values()) ** -0.5)
    h = module.param("bias", nn.initializers.zeros, (width,))
    for name, x in inputs.items():
        h = h + nn.Dense(width, use_bias=False, kernel_init=draw, name=name)(x)
    return h


def _output(out: int, last: float, h: Array) -> Array:
    return nn.Dense(out, kernel_init=nn.initializers.normal(last * h.shape[-1] ** -0.5), name="out")(h)


class Simba(nn.Module):
    """Residual blocks h + W_2 f(W_1 LN(h)), four times as wide inside, and LN before the output; one for each width.

    Source: SimBa, Lee et al. 2024 (2410.09754), whose running normalisation of states belongs to the data and is left
    out; f is relu there.
    """

    hidden: Sequence[int]
    out: int
    last: float = 1.0
    activation: str = "mish"

    @nn.compact
    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        h, active = _joined(self, self.hidden[0], inputs), ACTIVATIONS[self.activation]
        for width in self.hidden:
            inner = active(nn.Dense(4 * width)(nn.LayerNorm()(h)))
            h = h + nn.Dense(width)(inner)
        return _output(self.out, self.last, nn.LayerNorm()(h))


class BroNet(nn.Module):
    """f(LN(first layer)), then residual blocks h + LN(W_2 f(LN(W_1 h))); one for each width.

    Source: BRO, Nauman et al. 2024 (2405.16158); f is relu there.
    """

    hidden: Sequence[int]
    out: int
    last: float = 1.0
    activation: str = "mish"

    @nn.compact
    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        active = ACTIVATIONS[self.activation]
        h = active(nn.LayerNorm()(_joined(self, self.hidden[0], inputs)))
        for width in self.hidden:
            inner = active(nn.LayerNorm()(nn.Dense(width)(h)))
            h = h + nn.LayerNorm()(nn.Dense(width)(inner))
        return _output(self.out, self.last, h)


BACKBONES = {"mlp": Perceptron, "simba": Simba, "bronet": BroNet}
"""Networks by name. The residual ones have one block for each entry of `hidden`, which must all be equal."""


class Critics(nn.Module):
    """Networks with the same inputs and their own parameters: outputs (heads, ..., out)."""

    heads: int
    hidden: Sequence[int]
    out: int
    last: float = 1.0
    activation: str = "mish"
    backbone: str = "mlp"

    @nn.compact
    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        own = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
        each = nn.vmap(BACKBONES[self.backbone], in_axes=None, axis_size=self.heads, **own)
        return each(self.hidden, self.out, self.last, self.activation)(inputs)


class Gaussian(nn.Module):
    """Mean and log standard deviation (..., d); the latter from the state or one trained vector."""

    hidden: Sequence[int]
    d: int
    state_std: bool
    activation: str = "mish"
    backbone: str = "mlp"

    @nn.compact
    def __call__(self, inputs: Mapping[str, Array]) -> tuple[Array, Array]:
        net = BACKBONES[self.backbone]
        out = net(self.hidden, (1 + self.state_std) * self.d, 0.01, self.activation)(inputs)
        if self.state_std:
            mean, log_std = jnp.split(out, 2, axis=-1)
        else:
            mean, log_std = out, self.param("log_std", nn.initializers.constant(-0.5), (self.d,))
        return mean, jnp.broadcast_to(jnp.clip(log_std, *LOG_STD), mean.shape)


class Nothing(nn.Module):
    """No parameters."""

    @nn.compact
    def __call__(self, inputs: Mapping[str, Array]) -> None:
        return None


class Scalar(nn.Module):
    """One trained number."""

    start: float

    @nn.compact
    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        return self.param("value", nn.initializers.constant(self.start), ())
