"""CRR whose policy is weighted by its critic, as google-deepmind/acme (770bc75) describes cwp_network for acting."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.crr import TRAINS as TRAINS
from flowrl_kb.published.crr import actor_loss as actor_loss
from flowrl_kb.published.crr import critic_loss as critic_loss


def act(models, s, key, *, best_of, acting_temperature):
    """One of `best_of` policy samples, drawn with the values of the critic as logits; acting_temperature is one there.

    The smaller head stands for the one critic. Source: acme/agents/tf/crr/recurrent_learning.py, argument cwp_network,
    which describes the rule; neither the network nor its number of samples is part of the code.
    """
    k_sample, k_pick = jax.random.split(key)
    a = jnp.stack([models.actor.sample(k, s) for k in jax.random.split(k_sample, best_of)])
    logits = jnp.min(models.critic(s, a), axis=0) / acting_temperature
    pick = jax.random.categorical(k_pick, logits, axis=0)
    return a[pick, jnp.arange(s.shape[0])]
