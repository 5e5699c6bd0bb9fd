"""CRR with the step weight of its paper (arXiv 2006.15134), eq. 3, as in google-deepmind/acme (770bc75)."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.crr import TRAINS as TRAINS
from flowrl_kb.published.crr import act as act
from flowrl_kb.published.crr import advantage
from flowrl_kb.published.crr import critic_loss as critic_loss


def actor_loss(models, batch, key, *, advantage_threshold, baseline_of):
    """Log-likelihood of those data actions that are better than the policy: L = -E 1[A(s, a) > c] log pi(a|s).

    A = Q(s, a) - (1/m) sum_j Q(s, a_j), m = baseline_of; c = advantage_threshold, zero in the source. Heads stand for
    the one critic by their mean. Source: eq. 3; acme/agents/jax/crr/losses.py, policy_loss_coeff_advantage_indicator.
    """
    q = lambda s, a: models.critic(s, a).mean(axis=0)  # noqa: E731
    gain = advantage(models.actor, q, batch.s, batch.a, key, baseline_of)
    kept = jax.lax.stop_gradient(jnp.where(gain > advantage_threshold, 1.0, 0.0))
    return -jnp.mean(kept * models.actor.log_prob(batch.s, batch.a)), {"kept": jnp.mean(kept)}
