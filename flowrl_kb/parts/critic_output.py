"""What a critic head outputs, and so how it is regressed on a Bellman target. Conditional axis `critic-output`.

Each function is the loss of all heads for a `backup(models, batch, key) -> (B,)` that values the next state.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Batch, Critic, Key, Models

Backup = Callable[[Models, Batch, Key], Array]


def _target(models: Models, batch: Batch, backup: Backup, key: Key, discount) -> Array:
    return jax.lax.stop_gradient(batch.reward + discount * batch.not_done * backup(models, batch, key))


def scalar(models: Models, batch: Batch, backup: Backup, key: Key, *, discount):
    """Sum over heads of the mean squared error to r + gamma (1 - done) backup(s')."""
    heads = models.critic(batch.s, batch.a)
    target = _target(models, batch, backup, key, discount)
    return jnp.mean(jnp.square(heads - target), axis=-1).sum(), {"q": jnp.mean(heads)}


def categorical(
    models: Models, batch: Batch, backup: Backup, key: Key, *, discount, value_min, value_max, output_entropy=0.0
):
    """Cross-entropy of each head's law of the return to the projected law of the target; sum over heads.

    Atoms z_n evenly fill [value_min, value_max]; the target gives r + gamma (z_n + bonus), cut to that range and shared
    between its two nearest atoms, the average head's probability of z_n at the next action. Minus `output_entropy`
    times the entropy of each head. `backup` has to be linear in the next value: the value of zero is its bonus.
    Source: Bellemare et al. 2017 (1707.06887), algorithm 1.
    """
    logits = models.logits(batch.s, batch.a)
    atoms = jnp.linspace(value_min, value_max, logits.shape[-1])

    def valued(n: Array) -> Array:
        def heads(s: Array, a: Array) -> Array:
            p = jax.nn.softmax(models.target_logits(s, a))
            return jnp.append(p, jnp.zeros((*p.shape[:-1], 1)), axis=-1)[..., n]

        return backup(models._replace(target_critic=heads), batch, key)

    values = jax.vmap(valued, out_axes=-1)(jnp.arange(len(atoms) + 1))
    bonus = values[:, -1]
    mass = values[:, :-1] - bonus[:, None]
    reached = batch.reward[:, None] + discount * batch.not_done[:, None] * (atoms + bonus[:, None])
    nearness = jnp.clip(reached, value_min, value_max)[..., None] - atoms
    shares = jnp.maximum(1.0 - jnp.abs(nearness) / (atoms[1] - atoms[0]), 0.0)
    target = jax.lax.stop_gradient(jnp.einsum("bn,bnm->bm", mass, shares))
    log_p = jax.nn.log_softmax(logits)
    surplus = jnp.sum((output_entropy * jnp.exp(log_p) - target) * log_p, axis=-1)
    return jnp.mean(surplus, axis=-1).sum(), {"q": jnp.mean(jnp.exp(log_p) @ atoms)}


def _drawn(models: Models, key: Key) -> Critic:
    """A critic whose heads all equal one return, drawn within three deviations from the head of smallest mean."""

    def heads(s: Array, a: Array) -> Array:
        means, spreads = models.target_critic(s, a), models.target_spread(s, a)
        smallest = jnp.argmin(means, axis=0)[None]
        drawn = means + spreads * jnp.clip(jax.random.normal(key, means.shape), -3.0, 3.0)
        return jnp.broadcast_to(jnp.take_along_axis(drawn, smallest, axis=0), means.shape)

    return heads


def _mean_and_drawn(models: Models, batch: Batch, backup: Backup, key: Key, discount) -> tuple[Array, Array]:
    """Targets (B,) of the mean and of a return drawn beside it, at the same next actions, which are drawn once."""
    k_next, k_draw = jax.random.split(key)
    drawn = _drawn(models, k_draw)

    def target(is_drawn: Array) -> Array:
        critic = lambda s, a: jnp.where(is_drawn, drawn(s, a), models.target_critic(s, a))  # noqa: E731
        return _target(models._replace(target_critic=critic), batch, backup, k_next, discount)

    y, y_z = jax.vmap(target)(jnp.arange(2) == 1)
    return y, y_z


def gaussian(models: Models, batch: Batch, backup: Backup, key: Key, *, discount, spread_clip, spread_bias):
    """Gaussian likelihood of the return, rescaled: errors of the mean and of the variance over the spread's own power.

    (m^2 + b) [(mu - y)^2 / 2 (sigma^2 + b) + sigma (sigma^2 - (y_z - mu)^2) / (sigma^3 + b)], where all but the leading
    mu and sigma are constants, y values the mean of the next head, y_z a return drawn from it, cut at mu +- spread_clip
    m, and m is the batch mean of the averaged spread; b = spread_bias. Source: DSAC-T (2310.05858).
    """
    y, y_z = _mean_and_drawn(models, batch, backup, key, discount)
    mean, spread = models.critic(batch.s, batch.a), models.spread(batch.s, batch.a)
    typical = jnp.mean(models.target_spread(batch.s, batch.a), axis=-1, keepdims=True)
    mu, sigma, typical = jax.lax.stop_gradient((mean, spread, typical))
    gap = jnp.clip(y_z - mu, -spread_clip * typical, spread_clip * typical)
    scale = jnp.square(typical) + spread_bias
    of_mean = scale / (jnp.square(sigma) + spread_bias) * 0.5 * jnp.square(mean - y)
    of_spread = scale / (sigma**3 + spread_bias) * (jnp.square(sigma) - jnp.square(gap)) * spread
    return jnp.mean(of_mean + of_spread, axis=-1).sum(), {"q": jnp.mean(mean), "spread": jnp.mean(spread)}


def _huber(error: Array, width) -> Array:
    """error^2 / 2 up to |error| = width, from there on along its tangent."""
    near = jnp.minimum(jnp.abs(error), width)
    return near * (jnp.abs(error) - 0.5 * near)


def gaussian_huber(
    models: Models,
    batch: Batch,
    backup: Backup,
    key: Key,
    *,
    discount,
    spread_clip,
    spread_bias,
    huber_width,
    spread_ratio,
):
    """Huber errors h of the mean and of the squared spread under one weight, a ratio of squared spreads within bounds.

    clip(m^2 / (sigma^2 + b), *spread_ratio) [h(mu - y) + sigma (sigma^2 - h(y_z - mu)) / (sigma + b)], constants and
    cut as in `gaussian`, m the mean of the averaged spread over heads too. h is half of the square up to huber_width,
    so that sigma^2 rests at half of the squared deviation. Source: flow-rl (bae22f4), dacer.py.
    """
    y, y_z = _mean_and_drawn(models, batch, backup, key, discount)
    mean, spread = models.critic(batch.s, batch.a), models.spread(batch.s, batch.a)
    typical = jnp.mean(models.target_spread(batch.s, batch.a))
    mu, sigma, typical = jax.lax.stop_gradient((mean, spread, typical))
    gap = jnp.clip(y_z - mu, -spread_clip * typical, spread_clip * typical)
    weight = jnp.clip(jnp.square(typical) / (jnp.square(sigma) + spread_bias), *spread_ratio)
    of_spread = (jnp.square(sigma) - _huber(gap, huber_width)) / (sigma + spread_bias) * spread
    loss = weight * (_huber(mean - y, huber_width) + of_spread)
    return jnp.mean(loss, axis=-1).sum(), {"q": jnp.mean(mean), "spread": jnp.mean(spread)}
