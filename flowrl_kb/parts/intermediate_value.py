"""How Q, defined on clean actions, acts on noisy ones. Mechanism axis `intermediate-value`.

Functions with a `slope` return the gradient of the intermediate log-tilt at x, (M, B, d). `q(a) -> (..., B)` is the
aggregated critic at the batch's states; `slope(g)` is the derivative of the log-tilt in Q, given the action gradients g
of Q where they are read, so that a normaliser may depend on them.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from flowrl_kb.parts import control
from flowrl_kb.parts.direction import Draws
from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.step import Step
from flowrl_kb.parts.types import Array, FieldPolicy, Models

Value = Callable[[Array], Array]
Slope = Callable[[Array], Array]


def gradient(q: Value, a: Array) -> Array:
    """The action gradient of q at a (..., d)."""
    return jax.grad(lambda points: jnp.sum(q(points)))(a)


def naive(field: FieldPolicy, q: Value, draws: Draws, s: Array, slope: Slope) -> Array:
    """grad Q(x_t): the clean critic read at the noisy action."""
    g = gradient(q, draws.x)
    return slope(g) * g


def posterior_mean(field: FieldPolicy, q: Value, draws: Draws, s: Array, slope: Slope) -> Array:
    """grad_x Q(E[a | x_t]) with the denoised action of the current field. Also called Tweedie guidance."""
    a, pull_back = jax.vjp(lambda x: field.x0(x, draws.t, s), draws.x)
    g = gradient(q, a)
    return slope(g) * pull_back(g)[0]


def soft(field: FieldPolicy, q: Value, draws: Draws, s: Array, slope: Slope) -> Array:
    """grad log-mean-exp(Q / lambda) over reverse candidates: (1/alpha) sum_k w_k grad Q(a_k).

    Source: iDEM (2402.06121), eq. 9, with the factor 1/alpha that a variance-preserving path needs.
    """
    g = gradient(q, draws.a)
    w = jax.nn.softmax(slope(g) * q(draws.a), axis=0)
    return slope(g) * jnp.sum(w[..., None] * g, axis=0, keepdims=True) / coefficients(field.path, draws.t)[0]


def adjoint(reference: FieldPolicy, q: Value, chain: Array, s: Array, slope: Slope, *, adjoint_level="next") -> Array:
    """The tilt's gradient at the end of a chain, carried back by the drift of the reference's process: (K, B, d).

    G_K = slope grad Q(x_K), G_k = G_(k+1) + h J^T G_(k+1), J the Jacobian at x_k of the drift with the field read at
    its own level, which is that of the step taken there, or at the next one. Also called lean adjoint. Not to be
    confused with `backprop`: it differentiates the trained chain. Source: Adjoint Matching (2409.08861), Algorithm 1;
    QAM (2601.14234), official agents/qam.py, which reads the next level.
    """
    level = ("own", "next").index(adjoint_level)
    g = gradient(q, chain[-1])
    h = reference.grid[:-1] - reference.grid[1:]

    def back(carried: Array, k: Array) -> tuple[Array, Array]:
        _, pull_back = jax.vjp(lambda x: control.drift(reference, x, k, s, level=level), chain[k])
        carried = carried + h[k] * pull_back(carried)[0]
        return carried, carried

    return jax.lax.scan(back, slope(g) * g, jnp.arange(len(chain) - 1), reverse=True)[1]


def path_value(models: Models, step: Step, s: Array, target: bool = True) -> Array:
    """Heads (H, N, B) of what is reached by a step: V at its new level, and Q of the action behind the last step."""
    critic, of_step = (
        (models.target_critic, models.target_step_critic) if target else (models.critic, models.step_critic)
    )
    grid = models.actor.grid
    ends = step.k + 1 == grid.shape[0] - 1
    return jnp.where(ends, critic(s, step.after), of_step(s, step.after, grid[step.k + 1]))


def return_(advantage: Array, steps: int, *, denoising_discount=1.0) -> Array:
    """gamma_dn^(steps-1-k) A for k = 0 (noisiest) to steps-1: one scalar shared by all denoising steps, (steps, B)."""
    return denoising_discount ** jnp.arange(steps - 1, -1, -1)[:, None] * advantage


def mean(advantage: Array, *, advantage_max) -> Array:
    """A cut at +-m and divided by m: a target that is linear in it regresses on its average over actions given x_t."""
    return jnp.clip(advantage, -advantage_max, advantage_max) / advantage_max
