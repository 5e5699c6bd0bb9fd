"""PPO in typoverflow/flow-rl (bae22f4), flowrl/agent/online/ppo.py: the value loss is clipped.

Left out: the bootstrap of episodes cut off, which reads the value of the last state and not of the next one.
"""

import jax
import jax.numpy as jnp

from flowrl_kb.published.ppo import act, actor_loss

__all__ = ["TRAINS", "act", "actor_loss", "value_loss"]

TRAINS = {"actor": "gaussian", "value": "value"}


def value_loss(models, batch, key, *, value_weight, value_clip):
    """c_V E max{(V - R)^2, (V_c - R)^2}, V_c the value cut to [V_old - c, V_old + c].

    Source: clipped_value_loss. V_old = models.target_value, the value at the roll-out; batch.returns (B,) = R;
    value_weight = c_V; value_clip = c, in the source the width of the ratio clip too.
    """
    value, old = models.value(batch.s), jax.lax.stop_gradient(models.target_value(batch.s))
    near = jnp.minimum(jnp.maximum(value, old - value_clip), old + value_clip)
    errors = jnp.stack([value, near]) - batch.returns
    return value_weight * jnp.mean(jnp.max(errors**2, axis=0)), {"clipped": jnp.mean(jnp.abs(value - old) > value_clip)}
