"""EDP with sample_method dpm in sail-sg/edp (b019648), diffusion/nets.py, dpm_sample: another sampler, the same losses.

The steps are those of the models' own `sample`. The source cuts every noise prediction so that the denoised action lies
in the box, and the last state with it up to the noise of the last level; here next actions are cut, as with ddpm.
"""

import jax
import jax.numpy as jnp

from flowrl_kb.published.edp import TRAINS as TRAINS
from flowrl_kb.published.edp import actor_loss as actor_loss
from flowrl_kb.published.edp import critic_loss as critic_loss


def act(models, s, key, *, best_of, acting_temperature):
    """One of `best_of` samples of the solver, with the smaller head as logits. Source: trainer.py, dpmensemble_act."""
    k_solver, k_pick = jax.random.split(key)
    a = models.actor.sample(k_solver, s, (best_of,))
    logits = jnp.minimum(*models.critic(s, a)) / acting_temperature
    return a[jax.random.categorical(k_pick, logits, axis=0), jnp.arange(s.shape[0])]
