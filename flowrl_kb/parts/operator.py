"""Improvement operators: which law the actor update asks for. Mechanism axis `operator`.

An operator is known by what each route needs of it: weights on candidates (regression on values), the slope of its
log-tilt or a move of its samples (regression on gradients), a divergence from the reference (pathwise), a surrogate
(likelihood ratio).

Weights are normalised over the candidates of a state; where a state has one candidate they are normalised over the
batch, which mixes states and so also reweights them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array


class Operator(NamedTuple):
    """`weights(q (K, ...)) -> (K, ...)`; `slope` = d log-tilt / dQ; `divergence` the kind of penalty, with its weight;
    `likelihood_weight` that of a likelihood of reference samples beside it, `pull(q, x (K, B, d))` the score to which
    the policy's own is drawn along its chain, noisiest state first; `surrogate(log_ratio, A)`;
    `move(q, a (..., d))` where samples of the reference go, q(a) -> (...); None where a route cannot use the operator.
    """

    weights: Callable[[Array], Array] | None = None
    slope: float | Array | None = None
    divergence: str | None = None
    q_weight: float | Array = 1.0
    penalty_weight: float | Array = 1.0
    likelihood_weight: float | None = None
    pull: Callable[[Callable[[Array], Array], Array], Array] | None = None
    surrogate: Callable[[Array, Array], Array] | None = None
    move: Callable[[Callable[[Array], Array], Array], Array] | None = None


def exponential(*, temperature, weight_clip=None) -> Operator:
    """nu exp(Q / lambda): self-normalised weights, or unnormalised ones cut at `weight_clip` where a card has one."""

    def weights(q: Array) -> Array:
        if weight_clip is not None:
            return jnp.minimum(jnp.exp(q / temperature), weight_clip)
        if len(q) > 1:
            return jax.nn.softmax(q / temperature, axis=0)
        return q.size * jax.nn.softmax(q / temperature, axis=None)

    return Operator(weights=weights, slope=1.0 / temperature, divergence="reverse-kl", penalty_weight=temperature)


def _of_group(weigh: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Weights by `weigh(q (N, ...))`, which sum to one: over candidates, or over the batch (mean one) where K is 1."""

    def weights(q: Array) -> Array:
        return weigh(q) if len(q) > 1 else q.size * weigh(q.reshape(-1)).reshape(q.shape)

    return weights


def linear(*, temperature, weight_clip=None) -> Operator:
    """nu (1 + (Q - c) / lambda)_+, the law of a chi-square penalty; c is such that the weights average one.

    q_j is above the cut when sum_i (q_i - q_j)_+ < lambda N. Also called sparsemax (of Q / lambda N). Where a card has
    a `weight_clip`, q is already the excess over a learned c, and the weights are cut at it.
    """
    if weight_clip is not None:
        return Operator(weights=lambda q: jnp.clip(1.0 + q / temperature, 0.0, weight_clip))

    def weigh(q: Array) -> Array:
        budget, q = temperature * len(q), q - jnp.max(q, axis=0)
        above = jnp.sum(jnp.maximum(q[:, None] - q, 0.0), axis=0) < budget
        cut = (jnp.sum(above * q, axis=0) - budget) / jnp.sum(above, axis=0)
        return jnp.maximum(q - cut, 0.0) / budget

    return Operator(weights=_of_group(weigh))


def square(*, temperature) -> Operator:
    """nu (1 + (Q - c) / 2 lambda)_+^2, the law of the divergence of order 3/2; c is such that the weights average one.

    q_j is above the cut when sum_i (q_i - q_j)_+^2 < (2 lambda)^2 N. Also called 1.5-entmax (of Q / lambda sqrt N).
    """

    def weigh(q: Array) -> Array:
        budget, q = (2.0 * temperature) ** 2 * len(q), q - jnp.max(q, axis=0)
        above = jnp.sum(jnp.square(jnp.maximum(q[:, None] - q, 0.0)), axis=0) < budget
        n, total, squares = (jnp.sum(above * power, axis=0) for power in (1.0, q, jnp.square(q)))
        cut = (total - jnp.sqrt(total**2 - n * (squares - budget))) / n
        return jnp.square(jnp.maximum(q - cut, 0.0)) / budget

    return Operator(weights=_of_group(weigh))


def rank() -> Operator:
    """All weight on the best candidate: N nu F^(N-1)."""
    return Operator(weights=lambda q: jax.nn.one_hot(jnp.argmax(q, axis=0), q.shape[0], axis=0))


def best_advantage() -> Operator:
    """The best candidate only, weighted by what its Q exceeds their mean: N nu F^(N-1) (Q - V)_+.

    Not normalised, so that states whose candidates differ little count little. Source: QVPO (2405.16173), qadv.
    """

    def weights(q: Array) -> Array:
        best = jax.nn.one_hot(jnp.argmax(q, axis=0), q.shape[0], axis=0)
        return best * jnp.maximum(q - jnp.mean(q, axis=0), 0.0)

    return Operator(weights=weights)


def conditional(*, advantage_threshold=0.0) -> Operator:
    """The reference given that Q exceeds a state value by the threshold; q is that excess, and the weight one or zero.

    Source: CFGRL (2505.23458), the optimality variable; its power is that of the acting rule `classifier_free`.
    """
    return Operator(weights=lambda q: (q >= advantage_threshold).astype(q.dtype))


def reciprocal(*, q_weight=1.0, bc_weight=1.0) -> Operator:
    """Expected Q minus a denoising or likelihood error on reference samples (forward KL)."""
    return Operator(divergence="forward-kl", q_weight=q_weight, penalty_weight=bc_weight)


def proximal(*, q_weight=1.0, bc_weight=1.0) -> Operator:
    """Expected Q minus the squared distance to the coupled reference action."""
    return Operator(divergence="squared-distance", q_weight=q_weight, penalty_weight=bc_weight)


def potential(*, q_weight=1.0, bc_weight=1.0) -> Operator:
    """Expected Q minus the denoising error that the reference's own field makes on the produced action."""
    return Operator(divergence="potential", q_weight=q_weight, penalty_weight=bc_weight)


def reciprocal_potential(*, likelihood_weight, q_weight=1.0, bc_weight=1.0) -> Operator:
    """Expected Q minus that error plus the likelihood of reference samples: the reciprocal law of Q minus the error.

    Source: DTQL (2405.19690), official agents/dtql.py with gamma = 1; likelihood_weight = gamma.
    """
    return potential(q_weight=q_weight, bc_weight=bc_weight)._replace(likelihood_weight=likelihood_weight)


def noised_density(*, q_weight=1.0, bc_weight=1.0) -> Operator:
    """Expected Q plus the log-density, under the reference, of noised copies of the produced action."""
    return Operator(divergence="noised-density", q_weight=q_weight, penalty_weight=bc_weight)


def ascent(*, action_steps, action_rate, box=None) -> Operator:
    """Every sample of the reference climbs Q: `action_steps` times a <- a + action_rate grad Q(a), clipped to the box.

    Not to be confused with `proximal`, the implicit step. Source: DIPO (2305.13122), action gradient.
    """

    def move(q: Callable[[Array], Array], a: Array) -> Array:
        def climb(a: Array, _: None) -> tuple[Array, None]:
            a = a + action_rate * jax.grad(lambda points: jnp.sum(q(points)))(a)
            return (a if box is None else jnp.clip(a, -box, box)), None

        return jax.lax.scan(climb, a, None, length=action_steps)[0]

    return Operator(move=move)


def _taken(a: Array, index: Array) -> Array:
    return jnp.take_along_axis(a, index[..., None], axis=0)


def candidate_ascent(*, kept, action_steps, action_rate, temperature=None, box=None) -> Operator:
    """Of several samples of the reference the `kept` best climb Q; one of them is drawn by the softmax of Q / lambda.

    Each is left at the best point of its climb. `temperature` = lambda; None where only the move is read. Source: PA-RL
    (2412.06685), global and local optimisation.
    """

    def move(q: Callable[[Array], Array], a: Array) -> Array:
        value_and_slope = jax.value_and_grad(lambda points: (jnp.sum(value := q(points)), value), has_aux=True)
        a = _taken(a, jnp.argsort(-q(a), axis=0)[:kept])

        def climb(a: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
            (_, value), slope = value_and_slope(a)
            up = a + action_rate * slope
            return (up if box is None else jnp.clip(up, -box, box)), (a, value)

        last, (points, values) = jax.lax.scan(climb, a, None, length=action_steps)
        points, values = jnp.concatenate([points, last[None]]), jnp.concatenate([values, q(last)[None]])
        return _taken(points, jnp.argmax(values, axis=0)[None])[0]

    return Operator(weights=lambda q: jax.nn.softmax(q / temperature, axis=0), move=move)


def argmax() -> Operator:
    """Expected Q and nothing else."""
    return Operator(divergence=None, penalty_weight=0.0)


def gradient_field(*, pull_rate, pull_shift, bc_weight, q_weight=1.0) -> Operator:
    """Expected Q minus the error of the policy's score against exp(r k + c) grad Q / |grad Q|, k steps before the end.

    Also called Q-gradient field objective. bc_weight = eta, pull_rate = r, pull_shift = c. Source: DACERv2
    (2505.23426), as publicly reviewed.
    """

    def pull(q: Callable[[Array], Array], x: Array) -> Array:
        g = jax.grad(lambda points: jnp.sum(q(points)))(x)
        w = jnp.exp(pull_rate * jnp.arange(len(x), 0, -1) + pull_shift)
        return w[:, None, None] * g / (jnp.linalg.norm(g, axis=-1, keepdims=True) + 1e-8)

    return Operator(divergence=None, q_weight=q_weight, penalty_weight=bc_weight, pull=pull)


def identity() -> Operator:
    """The reference itself: equal weights."""
    return Operator(weights=lambda q: jnp.full_like(q, 1.0 / q.shape[0]))


def trust_region(*, clip, clip_base=None, clip_rate=3.0, entropy_weight=0.0) -> Operator:
    """The pessimistic clipped ratio min(rho A, clip(rho, 1 +- eps) A); eps grows along steps where `clip_base` is set.

    eps_k = eps_b + (eps - eps_b)(e^{r k/(K-1)} - 1)/(e^r - 1), k = 0 the noisiest step. Source: PPO eq. 7; DPPO app. C.
    """

    def surrogate(log_ratio: Array, advantage: Array) -> Array:
        width = clip
        if clip_base is not None:
            fraction = jnp.linspace(0.0, 1.0, log_ratio.shape[0])[:, None]
            width = clip_base + (clip - clip_base) * (jnp.exp(clip_rate * fraction) - 1) / (jnp.exp(clip_rate) - 1)
        ratio = jnp.exp(log_ratio)
        return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - width, 1 + width) * advantage)

    return Operator(surrogate=surrogate, penalty_weight=entropy_weight)


def asymmetric_trust_region(*, clip, entropy_weight=0.0) -> Operator:
    """The clipped ratio where A >= 0; rho A - |A| (rho - 1)^2 / 2 eps where A < 0, which pulls ratios back to 1 - eps.

    Also called ASPO. Source: FPO++ (2602.02481), eq. 11-12; the penalty is that of SPO (2401.16025).
    """
    clipped = trust_region(clip=clip).surrogate

    def surrogate(log_ratio: Array, advantage: Array) -> Array:
        ratio = jnp.exp(log_ratio)
        penalised = ratio * advantage - jnp.abs(advantage) * jnp.square(ratio - 1.0) / (2.0 * clip)
        return jnp.where(advantage >= 0.0, clipped(log_ratio, advantage), penalised)

    return Operator(surrogate=surrogate, penalty_weight=entropy_weight)
