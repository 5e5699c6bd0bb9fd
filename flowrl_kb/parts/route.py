"""How the value signal reaches the parameters. Mechanism axis `route`: every function is a complete actor loss.

`p` holds the parts that compose.py bound for a cell; see `bound.Parts`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.parts import control, source
from flowrl_kb.parts import intermediate_value as intermediate_values
from flowrl_kb.parts.bound import Parts, critic_of, divisor_of, draws_of, value_of
from flowrl_kb.parts.direction import Draws
from flowrl_kb.parts.likelihood import entropy_rate
from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.step import Step
from flowrl_kb.parts.types import Array, Batch, FieldPolicy, Key, Models

Scalar = tuple[Array, dict[str, Array]]


def regression_value(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """E sum_k w_k(Q) error_k: a regression on candidates, weighted by the operator."""
    draws, w, k_more = weighted(models, batch, key, p)
    error = jnp.sum(w * p.error(models.actor, draws, batch.s), axis=0)
    if p.reference.floor:
        error = error + jnp.sum(w, axis=0) * _floor(models, batch, k_more[-1], p)
    return jnp.mean(error), {"largest_weight": jnp.mean(w.max(0))}


def weighted(models: Models, batch: Batch, key: Key, p: Parts) -> tuple[Draws, Array, list[Key]]:
    """Candidates with their weights (K, B), which are constants, and the keys that are left."""
    k_draws, k_head, *k_more = jax.random.split(key, 2 + bool(p.reference.floor) + bool(p.baseline_of))
    draws = draws_of(models, batch, k_draws, p)
    w = jax.lax.stop_gradient(p.operator.weights(_excess(models, batch, draws, k_head, k_more, p)))
    return draws, w, k_more


def _excess(models: Models, batch: Batch, draws: Draws, k_head: Key, k_more: list[Key], p: Parts) -> Array:
    """What the candidates are worth above the state value, if they are measured from one, over the normaliser.

    A stored action may be worth its return. The value of a state may be the mean of Q over fresh actions in it.
    """
    if p.of_returns:
        return batch.returns[None] - p.baseline(models, batch.s)
    value = value_of(models, batch, k_head, p)
    q = value(draws.a) - p.baseline(models, batch.s)
    if p.baseline_of:
        q = q - jnp.mean(value(source.current(models, batch, k_more[0], p.baseline_of)), axis=0)
    return q / divisor_of(models, batch, k_head, p)


def _floor(models: Models, batch: Batch, key: Key, p: Parts) -> Array:
    """Weighted error (B,) on actions that the operator does not weight."""
    k_actions, k_direction = jax.random.split(key)
    a = p.reference.floor(models, batch, k_actions)
    draws = jax.lax.stop_gradient(p.direction(models.actor, a, k_direction, p.candidates, p.box))
    return p.reference.floor_weight * jnp.sum(p.error(models.actor, draws, batch.s), axis=0)


def inference_selection(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """E error: the reference is modelled as it is; no value is read."""
    return jnp.mean(p.error(models.actor, draws_of(models, batch, key, p), batch.s)), {}


def inference_guidance(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """As selection: the reference is modelled as it is; the value shifts the sampler when acting (`guidance`)."""
    return inference_selection(models, batch, key, p)


def _shift(models: Models, batch: Batch, key: Key, p: Parts, draws: Draws) -> Array:
    """scale(sigma) grad log-tilt: by how much the value gradient moves the noise target (before its sign)."""

    def slope(gradient: Array) -> Array:
        return p.operator.slope / divisor_of(models, batch, key, p, gradient)

    guidance = p.intermediate_value(models.actor, value_of(models, batch, key, p), draws, batch.s, slope)
    return p.scale(coefficients(models.actor.path, draws.t)[1]) * guidance


def regression_gradient(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """E |eps_theta(x_t) - (eps_nu - shift)|^2: the reference's noise moved against the value gradient.

    Where the operator moves the samples themselves, before they are noised, there is nothing left to shift; where it
    weights them as well, it does so after the move.
    """
    if p.steered:
        return _steered(models, batch, key, p)
    if p.likelihood:
        return _drifting(models, batch, key, p)
    k_draws, k_head = jax.random.split(key)
    draws = draws_of(models, batch, k_draws, p)
    if p.operator.move:
        error = p.error(models.actor, draws, batch.s)
        if p.operator.weights:
            q = value_of(models, batch, k_head, p)(draws.a)
            error = jnp.sum(jax.lax.stop_gradient(p.operator.weights(q)) * error, axis=0)
        return jnp.mean(error), {}
    noise = draws.eps if p.reference.keeps_noise else jnp.zeros_like(draws.x)
    target = jax.lax.stop_gradient(noise - _shift(models, batch, k_head, p, draws))
    return jnp.mean(p.error(models.actor, draws._replace(eps=target), batch.s)), {}


def _steered(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """The same regression at every state of a chain of the memoryless process, towards the reference's field.

    E sum_k w_k |eps_theta(x_k) - (eps_nu(x_k) - scale_k G_k)|^2 with w and scale of `control`, G the adjoint.
    """
    k_chain, k_head = jax.random.split(key)
    actor, base = models.actor, p.reference.field(models)
    states = jax.lax.stop_gradient(control.chain(actor, base, k_chain, batch.s))
    q = value_of(models, batch, k_head, p)
    inside = q if p.box is None else (lambda a: q(jnp.clip(a, -p.box, p.box)))
    slope = lambda g: p.operator.slope / divisor_of(models, batch, k_head, p, g)  # noqa: E731
    pull = p.intermediate_value(base, inside, states, batch.s, slope)
    x = states[:-1]
    t = jnp.broadcast_to(actor.grid[:-1, None], x.shape[:-1])
    target = jax.lax.stop_gradient(base.eps(x, t, batch.s) - control.scale(actor)[:, None, None] * pull)
    error = p.error(actor, Draws(x, t, states[-1:], target), batch.s)
    return jnp.mean(control.weight(actor) @ error), {"pull": jnp.mean(jnp.abs(pull))}


def _drifting(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """E |a - sg[a + V]|^2 / d at actions of a map, V = h (grad log-tilt - grad log p) and no longer than `step_max`.

    p estimates the policy's density, with kernels of variance h. Gradients pass the box as if it did not cut actions.
    """
    k_own, k_density, k_head = jax.random.split(key, 3)
    inside = lambda a: a if p.box is None else jnp.clip(a, -p.box, p.box)  # noqa: E731
    produced = models.actor(batch.s, jax.random.normal(k_own, batch.a.shape))
    a = jax.lax.stop_gradient(inside(produced))
    density, h = p.likelihood(models.actor, k_density, batch.s, a)
    g = intermediate_values.gradient(value_of(models, batch, k_head, p), a)
    v = h * (p.operator.slope / divisor_of(models, batch, k_head, p, g, density) * g - density)
    v = v * jnp.minimum(1.0, p.step_max / jnp.linalg.norm(v, axis=-1, keepdims=True))
    target = jax.lax.stop_gradient(inside(a + v) + produced - a)
    return jnp.mean(jnp.square(produced - target)), {"step": jnp.mean(jnp.linalg.norm(v, axis=-1))}


def regression_mixed(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """E |eps_theta(x_t) - E_w[eta gradient target + (1 - eta) value target]|^2. Source: RFM (2601.08136).

    eta = 1 is `regression_gradient`, eta = 0 `regression_value`, both with reverse candidates.
    """
    k_draws, k_head = jax.random.split(key)
    draws = draws_of(models, batch, k_draws, p)
    q = value_of(models, batch, k_head, p)
    gradient = intermediate_values.gradient(q, draws.a)
    divisor = divisor_of(models, batch, k_head, p, gradient)
    w = p.operator.weights(q(draws.a) / divisor)
    alpha, sigma = coefficients(models.actor.path, draws.t)
    pull = -p.scale(sigma) / alpha * p.operator.slope / divisor * gradient
    eta = p.share(w, draws.eps, pull, sigma / alpha)
    mix = jnp.sum(w[..., None] * (eta * pull + (1.0 - eta) * draws.eps), axis=0, keepdims=True)
    return jnp.mean(p.error(models.actor, draws._replace(eps=jax.lax.stop_gradient(mix)), batch.s)), {}


def regression_signed(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """E |eps_theta(x_t) - (eps_old + A (eps - eps_old) / lambda)|^2: the old field moved to the noise of good actions.

    Its minimiser is eps_old + Cov(A, eps | x_t) / lambda = eps_old - sigma grad E[A | x_t] / lambda. Actions and
    advantages are those of the roll-out. Source: DiffusionNFT (2509.16117), eq. 5 with the square completed.
    """
    draws = jax.lax.stop_gradient(p.direction(models.actor, batch.a[None], key, 1, p.box))
    old = models.old.eps(draws.x, draws.t, batch.s)
    tilt = p.operator.slope * p.intermediate_value(batch.advantage)[..., None]
    target = jax.lax.stop_gradient(old + tilt * (draws.eps - old))
    return jnp.mean(p.error(models.actor, draws._replace(eps=target), batch.s)), {"tilt": jnp.mean(jnp.abs(tilt))}


class Produced(NamedTuple):
    """A differentiable action (B, d), its log-density and the noise it was made of (None where undefined).

    Where the loss takes one step of the chain, `a` are the states (N, B, d) behind the `step`; where it compares whole
    chains, `chain` (K+1, B, d) led to it.
    """

    a: Array
    log_prob: Array | None = None
    z: Array | None = None
    step: Step | None = None
    chain: Array | None = None


def _produce(models: Models, batch: Batch, key: Key, p: Parts) -> Produced:
    actor: Any = models.actor
    if p.take:
        step = p.take(actor, models, batch, key)
        return Produced(step.after, step=step)
    if p.noise_value:
        w, log_prob = actor.noise(key, batch.s)
        return Produced(actor.generator.from_noise(w, batch.s), log_prob, z=w)
    if p.one_step:
        draws = draws_of(models, batch, key, p)
        return Produced(actor.x0(draws.x, draws.t, batch.s)[0])
    if p.likelihood:
        return Produced(*p.likelihood(actor, key, batch.s))
    if p.whole_chain:
        chain = actor.chain(key, batch.s)
        return Produced(actor.action(chain[-1]), chain=chain)
    if hasattr(actor, "sample_with_log_prob"):
        return Produced(*actor.sample_with_log_prob(key, batch.s))
    if callable(actor):
        z = jax.random.normal(key, batch.a.shape)
        return Produced(actor(batch.s, z), z=z)
    return Produced(actor.sample(key, batch.s))


def _valued(models: Models, batch: Batch, produced: Produced, a: Array, p: Parts) -> Array:
    """Heads (H, B) of the produced action, of its noise, or of the states behind one step (mean of their draws)."""
    if p.noise_value:
        return p.noise_value(models, batch.s, produced.z, p.target_critic)
    if produced.step:
        return jnp.mean(p.intermediate_value(models, produced.step, batch.s, p.target_critic), axis=1)
    return critic_of(models, p)(batch.s, a)


def _score_error(models: Models, batch: Batch, chain: Array, key: Key, p: Parts) -> Array:
    """Mean error of the actor's field at the states of its chain, which are constants, against the operator's pull."""
    x, actor = jax.lax.stop_gradient(chain[:-1]), models.actor
    t = jnp.broadcast_to(actor.grid[:-1, None], x.shape[:-1])
    noise = -coefficients(actor.path, t)[1] * p.operator.pull(value_of(models, batch, key, p), x)
    return jnp.mean(p.error(actor, Draws(x, t, x, jax.lax.stop_gradient(noise)), batch.s))


def pathwise(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """-eta_Q E Q(a_theta) / normaliser + weight * divergence from the reference; differentiates through the policy.

    Where the operator weights it, minus the log-likelihood of samples of the reference, summed over dimensions. Where
    it pulls the policy's score, the error of that score is the divergence.
    """
    k_action, k_noise, k_head, k_penalty = jax.random.split(key, 4)
    produced = _produce(models, batch, k_action, p)
    a = p.perturb(models, produced.a, k_noise) if p.perturb else produced.a
    a = a if p.box is None else jnp.clip(a, -p.box, p.box)
    q, rest = p.aggregation(_valued(models, batch, produced, a, p), k_head)
    improvement = jnp.mean(q) / p.normaliser(q, rest, None)
    penalty = p.space(p.operator.divergence, p.reference, produced, models, batch, k_penalty)
    if p.operator.pull:
        penalty = penalty + _score_error(models, batch, produced.chain, k_head, p)
    weight = p.operator.penalty_weight
    weight = jnp.exp(jax.lax.stop_gradient(models.log_temperature)) if weight is None else weight
    loss = -p.operator.q_weight * improvement + weight * penalty
    if p.operator.likelihood_weight is not None:
        known = p.reference.actions(models, batch, jax.random.fold_in(k_penalty, 1))
        loss = loss - p.operator.likelihood_weight * jnp.mean(models.actor.log_prob(batch.s, known))
    return loss, {"penalty": penalty}


def likelihood_ratio(models: Models, batch: Batch, key: Key, p: Parts) -> Scalar:
    """-E surrogate(log ratio, advantage), averaged over the separate ratios of each action, minus an entropy bonus.

    Plus a pull towards a frozen policy where the reference is one, and where a sampler couples copies of the action
    `copy_weight` times their distance in fresh chains.
    """
    log_ratio = p.likelihood(models, batch)
    advantage = p.intermediate_value(batch.advantage, log_ratio.shape[0])
    surrogate = jnp.mean(p.operator.surrogate(log_ratio, advantage))
    bonus = p.operator.penalty_weight
    entropy = _entropy(models, batch, log_ratio) if bonus else 0.0
    apart = _apart(models.actor, batch.s, key) if p.copy_weight else None
    loss = -surrogate - bonus * entropy
    loss = loss if apart is None else loss + p.copy_weight * apart
    loss = loss if p.pull is None else loss + p.pull(models, batch)
    return loss, {"ratio": jnp.mean(jnp.exp(log_ratio))}


def _entropy(models: Models, batch: Batch, log_ratio: Array) -> Array:
    """The entropy of the policy, or of its chain where that learns the noise.

    Where neither has a closed form, the estimate on stored actions, up to a constant.
    """
    if hasattr(models.actor, "entropy"):
        return jnp.mean(models.actor.entropy(batch.s))
    if getattr(models.actor, "noise", None):
        return jnp.mean(entropy_rate(models.actor, batch.chain, batch.s))
    return -jnp.mean(log_ratio)


def _apart(actor: FieldPolicy, s: Array, key: Key) -> Array:
    """Mean distance of the two copies at the end of a fresh chain."""
    z, y = jnp.split(actor.chain(key, s)[-1], 2, axis=-1)
    return jnp.mean(jnp.linalg.norm(z - y, axis=-1))
