"""GenPO as shipped (wadx2019/genpo d7d8f72), flow_rsl_rl algorithms/flowppo.py: the value loss is clipped.

Left out: the learning rate that follows the mean of log pi_old - log pi.
"""

import jax
import jax.numpy as jnp

from flowrl_kb.published.genpo import act, actor_loss

__all__ = ["TRAINS", "act", "actor_loss", "value_loss"]

TRAINS = {"actor": "field", "value": "value"}


def value_loss(models, batch, key, *, value_weight, value_clip):
    """c_V E max{(V - R)^2, (V_c - R)^2}, V_c = V_old + clip(V - V_old, -c, c).

    Source: update, use_clipped_value_loss. V_old = models.target_value, the value at the roll-out; batch.returns (B,) =
    R; value_weight = c_V; value_clip = c, in the source the width of the ratio clip too.
    """
    value, old = models.value(batch.s), jax.lax.stop_gradient(models.target_value(batch.s))
    step = value - old
    near = old + jnp.where(jnp.abs(step) > value_clip, value_clip * jnp.sign(step), step)
    plain, clipped = (value - batch.returns) ** 2, (near - batch.returns) ** 2
    return value_weight * jnp.mean(jnp.where(clipped > plain, clipped, plain)), {"value": jnp.mean(value)}
