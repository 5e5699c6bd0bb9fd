"""CRR: Critic Regularized Regression, Wang et al. 2020 (arXiv 2006.15134), with exponential weights."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "critic": "critic"}


def advantage(policy, q, s, a, key, m):
    """A(s, a) = Q(s, a) - (1/m) sum_j Q(s, a_j), a_j ~ pi(.|s): (B,). Source: section 3, CRR mean; a (B, d).

    `q` (s, a) -> (...) is the one critic.
    """
    drawn = [policy.sample(k, s) for k in jax.random.split(key, m)]
    return q(s, a) - sum(q(s, a_j) for a_j in drawn) / m


def actor_loss(models, batch, key, *, temperature, weight_clip, baseline_of):
    """Log-likelihood of data actions, weighted by f = min(exp(A / beta), 20), beta = temperature.

    L = -E f(s, a) log pi(a|s), f constant. Source: eq. 2 and 4; official policy_loss_coeff_advantage_exp, which has the
    bound `weight_clip` and m = baseline_of. Heads stand for the one critic by their mean.
    """
    q = lambda s, a: models.critic(s, a).mean(axis=0)  # noqa: E731
    gain = advantage(models.actor, q, batch.s, batch.a, key, baseline_of)
    f = jax.lax.stop_gradient(jnp.minimum(jnp.exp(gain / temperature), weight_clip))
    return -jnp.mean(f * models.actor.log_prob(batch.s, batch.a)), {"cut": jnp.mean(f >= weight_clip)}


def critic_loss(models, batch, key, *, discount):
    """E D[Q(s, a), r + gamma Qbar(s', a')], a' one action of the target policy, D half the squared error.

    Source: eq. 1; official jax/crr/learning.py, critic_loss.
    """
    next_a = models.target_actor.sample(key, batch.next_s)
    following = models.target_critic(batch.next_s, next_a).mean(axis=0)
    target = jax.lax.stop_gradient(batch.reward + batch.not_done * discount * following)
    return 0.5 * jnp.mean(jnp.sum((models.critic(batch.s, batch.a) - target) ** 2, axis=0)), {}


def act(models, s, key):
    """One action of the policy. Source: official tf/crr/recurrent_learning.py, raw_policy."""
    return models.actor.sample(key, s)
