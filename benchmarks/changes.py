"""True changes of a loss, each with a strength that goes from none (0) to the whole change (1).

Each takes `make` (hyper-parameters to loss), hyper-parameters, two numbers in [0, 1) and a strength, all of which may
be traced, and returns a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import jax
import jax.numpy as jnp

from flowrl_kb.certify.features import BINS, EDGES
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.types import Array, Loss

Make = Callable[[dict], Loss]


def _with(loss: Loss, models=None, batch=None) -> Loss:
    """The loss at changed models or a changed batch."""

    def changed(m, b, key):
        k_change, k_loss = jax.random.split(key)
        return loss(models(m) if models else m, batch(b, k_change) if batch else b, k_loss)

    return changed


def wrong_level(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """The actor's network is told t^(1 + c) in place of t, c from 0.1 to 0.6."""
    power = 1.0 + strength * (0.1 + 0.5 * u[0])
    return _with(
        make(hyper),
        lambda m: m._replace(actor=replace(m.actor, net=lambda x, t, s: m.actor.net(x, t**power, s))),
    )


def wrong_schedule(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """The loss reads alpha^(1 + c) in place of alpha, c from 0.2 to 0.7."""
    power = 1.0 + strength * (0.2 + 0.5 * u[0])

    def models(m):
        path = m.actor.path
        return m._replace(actor=replace(m.actor, path=path._replace(alpha=lambda t: path.alpha(t) ** power)))

    return _with(make(hyper), models)


def weight(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """One of several weights doubled or dropped: of a range of levels, or of half of the states."""
    extra = strength * jnp.where(u[0] < 0.5, -1.0, 1.0)

    def weighted(out: Array, chosen: Array) -> Array:
        return out + extra * chosen[..., None] * (out - jax.lax.stop_gradient(out))

    def models(m):
        actor = m.actor
        if isinstance(actor, Field):

            def net(x, t, s):
                log_snr = 2.0 * (jnp.log(actor.path.alpha(t)) - jnp.log(actor.path.sigma(t)))
                bin_ = jnp.sum(log_snr[..., None] > jnp.array(EDGES), axis=-1)
                return weighted(actor.net(x, t, s), bin_ == jnp.floor(BINS * u[1]))

            return m._replace(actor=replace(actor, net=net))

        def other(s, *z):
            return jax.tree.map(lambda out: weighted(out, s[..., 0] > 0.0), actor.net(s, *z))

        return m._replace(actor=replace(actor, net=other))

    return _with(make(hyper), models)


def _of_values(make: Make, hyper: dict, critic: Callable, value: Callable, advantage: Callable) -> Loss:
    """The loss with critics, values and advantages each passed through a function."""

    def models(m):
        return m._replace(
            critic=lambda s, a: critic(m.critic(s, a)),
            target_critic=lambda s, a: critic(m.target_critic(s, a)),
            value=lambda s: value(m.value(s)),
        )

    return _with(make(hyper), models, lambda b, _: b._replace(advantage=advantage(b.advantage)))


def opposite_value(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """The sign of Q, of V and of advantages turned."""
    turned = lambda q: (1.0 - 2.0 * strength) * q  # noqa: E731
    return _of_values(make, hyper, turned, turned, turned)


def _heads(reduce: Callable) -> Callable:
    def change(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
        mixed = lambda q: q + strength * (reduce(q, axis=0, keepdims=True) - q)  # noqa: E731
        return _of_values(make, hyper, mixed, lambda v: v, lambda a: a)

    return change


mean_of_heads, smallest_head = _heads(jnp.mean), _heads(jnp.min)
mean_of_heads.__name__, smallest_head.__name__ = "mean_of_heads", "smallest_head"


def coefficient(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """Temperature, or the weight of Q or of cloning where there is none, times 1.25 to 2.25."""
    name = next(n for n in ("temperature", "q_weight", "bc_weight") if n in hyper)
    return make({**hyper, name: hyper[name] * (1.0 + strength * (0.25 + u[0]))})


def clip(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """The clip three times as wide, or removed."""
    factor = 1.0 + strength * jnp.where(u[0] < 0.5, 2.0, 1e3)
    return make({**hyper, **{n: hyper[n] * factor for n in ("clip", "clip_base") if n in hyper}})


def shifted_advantage(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """Advantages that are not centred: 0.3 to 0.8 is added."""
    same = lambda q: q  # noqa: E731
    return _of_values(make, hyper, same, same, lambda a: a + strength * (0.3 + 0.5 * u[0]))


def extra_cloning(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """A cloning term on the batch's actions, coefficient 0.2 to 0.7."""

    def changed(m, b, key):
        k_loss, k_level, k_noise = jax.random.split(key, 3)
        actor, noise = m.actor, jax.random.normal(k_noise, b.a.shape)
        if isinstance(actor, Field):
            t = actor.path.sample_t(k_level, b.s.shape[:1])
            x = actor.path.alpha(t)[:, None] * b.a + actor.path.sigma(t)[:, None] * noise
            gap = actor.eps(x, t, b.s) - noise
        else:
            gap = (actor(b.s, noise) if callable(actor) else actor.mean(b.s)) - b.a
        return make(hyper)(m, b, k_loss)[0] + strength * (0.2 + 0.5 * u[0]) * jnp.mean(gap**2), {}

    return changed


def noisy_actions(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """Batch actions with Gaussian noise of deviation 0.2 to 0.5."""
    std = strength * (0.2 + 0.3 * u[0])
    return _with(make(hyper), None, lambda b, key: b._replace(a=b.a + std * jax.random.normal(key, b.a.shape)))


def unstopped(make: Make, hyper: dict, u: Array, strength: Array) -> Loss:
    """Every stop-gradient of the loss forgotten; the strength is that of the gradient which then flows."""
    stop = jax.lax.stop_gradient
    leak = lambda tree: jax.tree.map(lambda x: stop(x) + strength * (x - stop(x)), tree)  # noqa: E731

    def changed(m, b, key):
        with patch.object(jax.lax, "stop_gradient", leak):
            return make(hyper)(m, b, key)

    return changed


def applicable(node: Node, hyper: dict) -> list:
    """The changes that could matter to the actor's update of a method; some turn out to have no effect."""
    ratio = node["route"] == "likelihood-ratio"
    found = [weight, extra_cloning]
    found += [wrong_level] if node["policy"] == "field" else []
    found += [wrong_schedule] if node["policy"] == "field" and node["path"] in ("vp", "ve") else []
    found += [clip, shifted_advantage] if ratio else [noisy_actions, unstopped, mean_of_heads, smallest_head]
    found += [opposite_value]
    return found + ([coefficient] if {"temperature", "q_weight", "bc_weight"} & set(hyper) else [])
