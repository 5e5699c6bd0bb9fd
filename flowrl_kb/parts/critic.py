"""What the value means. Mechanism axis `critic`: each function returns the losses of the value objects it trains.

`backup` values the next state; `regress` (axis `critic-output`) fits the heads to r + gamma backup.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from flowrl_kb.parts.backup import Next
from flowrl_kb.parts.types import Array, Batch, Key, Loss, Models

Backup = Callable[[Models, Batch, Key], Array]
Regress = Callable[[Models, Batch, Backup, Key], tuple[Array, dict]]


def q_pi(backup: Backup, regress: Regress) -> dict[str, Loss]:
    """Expected return of the policy: Q <- r + gamma backup(s')."""
    return {"critic": lambda models, batch, key: regress(models, batch, backup, key)}


def q_soft(backup: Backup, regress: Regress, *, following: Next) -> dict[str, Loss]:
    """Return plus entropy: Q <- r + gamma (Qbar(s', a') - lambda log pi(a'|s')), lambda the trained temperature."""

    def soft(models: Models, batch: Batch, key: Key) -> Array:
        a, log_prob = following.policy(models).sample_with_log_prob(key, batch.next_s)
        bonus = -jnp.exp(models.log_temperature) * log_prob
        return following.over_heads(models.target_critic(batch.next_s, a)) + bonus

    return {"critic": lambda models, batch, key: regress(models, batch, soft, key)}


def in_sample(backup: Backup | None, regress: Regress, *, expectile) -> dict[str, Loss]:
    """Expectile value of data actions and a critic that bootstraps from it. Source: IQL (2110.06169), eq. 5-6."""

    def value(models: Models, batch: Batch, key: Key):
        excess = jnp.min(models.target_critic(batch.s, batch.a), axis=0) - models.value(batch.s)
        weight = jnp.abs(expectile - (excess < 0))
        return jnp.mean(weight * jnp.square(excess)), {}

    def of_state(models: Models, batch: Batch, key: Key) -> Array:
        return models.value(batch.next_s)

    return {"value": value, "critic": lambda models, batch, key: regress(models, batch, of_state, key)}


def planned(backup: Backup, regress: Regress, *, discount) -> dict[str, Loss]:
    """In-sample planning: Q <- max(G, r + gamma backup(s')), G = batch.returns the return of the data's continuation.

    The data loop stores G_n = r_n + gamma R_(n+1), R the planned return of the next pair. Source: SfBC (2209.14548).
    """

    def critic(models: Models, batch: Batch, key: Key):
        k_backup, k_regress = jax.random.split(key)
        bootstrapped = batch.reward + discount * batch.not_done * backup(models, batch, k_backup)
        best = batch._replace(reward=jnp.maximum(batch.returns, bootstrapped), not_done=jnp.zeros_like(batch.not_done))
        return regress(models, best, lambda *_: jnp.zeros_like(best.reward), k_regress)

    return {"critic": critic}


def advantage(backup: Backup | None, regress: Regress | None, *, value_weight=0.5) -> dict[str, Loss]:
    """A state value regressed on the returns of fresh roll-outs; advantages are made by the roll-out loop."""

    def value(models: Models, batch: Batch, key: Key):
        return value_weight * jnp.mean(jnp.square(models.value(batch.s) - batch.returns)), {}

    return {"value": value}
