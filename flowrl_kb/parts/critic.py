"""What the value means. Mechanism axis `critic`: each function returns the losses of the value objects it trains."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from flowrl_kb.parts.types import Array, Batch, Key, Loss, Models

Backup = Callable[[Models, Batch, Key], Array]


def _regress(models: Models, batch: Batch, next_value: Array, discount) -> tuple[Array, dict]:
    """Sum over heads of the mean squared error to r + gamma (1 - done) next_value."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_value)
    heads = models.critic(batch.s, batch.a)
    return jnp.mean(jnp.square(heads - target), axis=-1).sum(), {"q": jnp.mean(heads)}


def q_pi(backup: Backup, *, discount) -> dict[str, Loss]:
    """Expected return of the policy: Q <- r + gamma backup(s')."""
    return {"critic": lambda models, batch, key: _regress(models, batch, backup(models, batch, key), discount)}


def q_soft(backup: Backup, *, discount) -> dict[str, Loss]:
    """Return plus entropy: Q <- r + gamma (min Qbar(s', a') - lambda log pi(a'|s')), lambda the trained temperature."""

    def loss(models: Models, batch: Batch, key: Key):
        a, log_prob = models.actor.sample_with_log_prob(key, batch.next_s)
        bonus = -jnp.exp(models.log_temperature) * log_prob
        return _regress(models, batch, jnp.min(models.target_critic(batch.next_s, a), axis=0) + bonus, discount)

    return {"critic": loss}


def in_sample(backup: Backup | None, *, discount, expectile) -> dict[str, Loss]:
    """Expectile value of data actions and a critic that bootstraps from it. Source: IQL (2110.06169), eq. 5-6."""

    def value(models: Models, batch: Batch, key: Key):
        excess = jnp.min(models.target_critic(batch.s, batch.a), axis=0) - models.value(batch.s)
        weight = jnp.abs(expectile - (excess < 0))
        return jnp.mean(weight * jnp.square(excess)), {}

    return {
        "value": value,
        "critic": lambda models, batch, key: _regress(models, batch, models.value(batch.next_s), discount),
    }


def advantage(backup: Backup | None, *, value_weight=0.5) -> dict[str, Loss]:
    """A state value regressed on the returns of fresh roll-outs; advantages are made by the roll-out loop."""

    def value(models: Models, batch: Batch, key: Key):
        return value_weight * jnp.mean(jnp.square(models.value(batch.s) - batch.returns)), {}

    return {"value": value}
