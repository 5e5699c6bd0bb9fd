"""Losses of other frameworks: a function on NumPy arrays that returns its value and gradient, made differentiable."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts.types import Array


def from_gradient(value_and_grad: Callable[..., tuple[float, np.ndarray]]) -> Callable[..., Array]:
    """A jax function of arrays whose value and gradient another framework computes.

    Arguments: `value_and_grad(prediction, *constants) -> (value, d value / d prediction)` on NumPy arrays. The result
    is differentiable in `prediction` alone; it is called on the host, one call for each replicate and scenario.
    """

    def host(prediction, *constants):
        value, slope = value_and_grad(np.asarray(prediction), *map(np.asarray, constants))
        return np.float32(value), np.asarray(slope, np.float32)

    def call(prediction: Array, *constants: Array) -> tuple[Array, Array]:
        shapes = (jax.ShapeDtypeStruct((), jnp.float32), jax.ShapeDtypeStruct(prediction.shape, jnp.float32))
        return jax.pure_callback(host, shapes, prediction, *constants, vmap_method="sequential")

    @jax.custom_vjp
    def loss(prediction: Array, *constants: Array) -> Array:
        return call(prediction, *constants)[0]

    def forward(prediction: Array, *constants: Array):
        value, slope = call(prediction, *constants)
        return value, (slope, constants)

    def backward(kept, cotangent: Array):
        slope, constants = kept
        return (cotangent * slope, *(jnp.zeros_like(c) for c in constants))

    loss.defvjp(forward, backward)
    return loss
