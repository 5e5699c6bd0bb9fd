"""Disguises: ways of writing a loss that leave its expected update what it was, up to one positive factor.

Each takes a loss and two numbers in [0, 1), which may be traced, and returns a loss.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp

from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Array, Batch, Loss


def rescaled(loss: Loss, u: Array) -> Loss:
    """The loss times a factor between e^-2 and e^2."""
    return lambda models, batch, key: (jnp.exp(4.0 * u[0] - 2.0) * loss(models, batch, key)[0], {})


def _predicting(loss: Loss, prediction: str) -> Loss:
    def disguised(models, batch, key):
        actor = models.actor
        return loss(
            models._replace(actor=replace(actor, net=getattr(actor, prediction), prediction=prediction)), batch, key
        )

    return disguised


def predicting_actions(loss: Loss, u: Array) -> Loss:
    """The network outputs the denoised action in place of the noise."""
    return _predicting(loss, "x0")


def predicting_velocity(loss: Loss, u: Array) -> Loss:
    """The network outputs the velocity in place of the noise."""
    return _predicting(loss, "velocity")


def _rows(batch: Batch, chosen) -> Batch:
    """The chosen states of a batch; chains and stored pairs have theirs along the second axis."""
    second = ("chain", "pair_t", "pair_eps")
    return Batch(
        **{
            name: value if value is None else value[:, chosen] if name in second else value[chosen]
            for name, value in batch._asdict().items()
        }
    )


def reordered(loss: Loss, u: Array) -> Loss:
    """The states of the batch in a random order."""

    def disguised(models, batch, key):
        k_order, k_loss = jax.random.split(key)
        return loss(models, _rows(batch, jax.random.permutation(k_order, batch.s.shape[0])), k_loss)

    return disguised


def split(loss: Loss, u: Array) -> Loss:
    """A weighted sum of the losses of the two halves of the batch, weights between 0.4 and 0.6."""

    def disguised(models, batch, key):
        half, keys, w = batch.s.shape[0] // 2, jax.random.split(key), 0.4 + 0.2 * u[0]
        first = loss(models, _rows(batch, slice(None, half)), keys[0])[0]
        return w * first + (1.0 - w) * loss(models, _rows(batch, slice(half, None)), keys[1])[0], {}

    return disguised


def retimed(loss: Loss, u: Array) -> Loss:
    """Levels renamed to t^p, p between 0.5 and 2, everywhere: network, path, grid and the law of levels."""
    p = 0.5 + 1.5 * u[1]

    def renamed(field):
        if not isinstance(field, Field):
            return field
        path = field.path
        there = path._replace(
            alpha=lambda t: path.alpha(t ** (1.0 / p)),
            sigma=lambda t: path.sigma(t ** (1.0 / p)),
            sample_t=lambda key, shape: path.sample_t(key, shape) ** p,
        )
        # The last level is zero, where powers have no derivative.
        grid = jnp.append(field.grid[:-1] ** p, 0.0)
        return replace(field, net=lambda x, t, s: field.net(x, t ** (1.0 / p), s), path=there, grid=grid)

    def disguised(models, batch, key):
        actors = {name: renamed(getattr(models, name)) for name in ("actor", "target_actor", "old")}
        return loss(models._replace(**actors), batch, key)

    return disguised


def with_noise(loss: Loss, u: Array) -> Loss:
    """A control variate of mean zero: the policy's output times independent noise, coefficient within +-0.5."""

    def disguised(models, batch, key):
        k_loss, k_draw, k_level, k_noise = jax.random.split(key, 4)
        actor, s = models.actor, batch.s
        if isinstance(actor, Field):
            t = actor.path.sample_t(k_level, s.shape[:1])
            x = actor.path.alpha(t)[:, None] * batch.a + actor.path.sigma(t)[:, None] * jax.random.normal(
                k_draw, batch.a.shape
            )
            out = actor.eps(x, t, s)
        else:
            out = actor(s, jax.random.normal(k_draw, batch.a.shape)) if callable(actor) else actor.mean(s)
        noise = jax.random.normal(k_noise, out.shape)
        return loss(models, batch, k_loss)[0] + (u[1] - 0.5) * jnp.mean(out * noise), {}

    return disguised


def with_score(loss: Loss, u: Array) -> Loss:
    """A control variate of mean zero: the log-density of the policy's own action, coefficient within +-0.5."""

    def disguised(models, batch, key):
        k_loss, k_draw = jax.random.split(key)
        a = jax.lax.stop_gradient(models.actor.sample(k_draw, batch.s))
        return loss(models, batch, k_loss)[0] + (u[1] - 0.5) * jnp.mean(models.actor.log_prob(batch.s, a)), {}

    return disguised


def applicable(node: Node) -> list:
    """The disguises that leave the actor's update of a method unchanged."""
    found = [rescaled, reordered, with_noise]
    found += [split] if node["normaliser"] in ("none", "standardised") else []
    found += [predicting_actions, predicting_velocity] if node["policy"] == "field" else []
    # A renamed time changes velocities, and the straight path is written out in the losses that use it.
    found += [retimed] if node["policy"] == "field" and node["path"] in ("vp", "ve") else []
    return found + ([with_score] if node["policy"] == "gaussian" else [])
