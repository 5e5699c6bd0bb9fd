"""DQS: Sampling from Energy-based Policies using Diffusion, Jain et al. 2024 (arXiv 2410.01312)."""

from functools import reduce

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def estimated_score(critic, x, sigma, noises, s, temperature):
    """S_K(x) = grad_x sum over the batch of log (1/K) sum_k exp(min_i Q_i(s, x + sigma n_k) / lambda), (B, d).

    x (B, d), sigma (B, 1), noises (K, B, d), s (B, ds). Source: iDEM's estimator with energy -Q; DQS code in
    azizanlab/ReverseFlowMatching, src/components/score_estimator.py.
    """

    def log_reward(points):
        q = reduce(jnp.minimum, critic(s, points + sigma * noises))
        return jnp.sum(jax.nn.logsumexp(q / temperature, axis=0) - jnp.log(noises.shape[0]))

    return jax.grad(log_reward)(x)


def actor_loss(models, batch, key, *, temperature, candidates):
    """Score regression, weighted by the variance of the noise: L = E sigma_t^2 |s_theta(x_t, t, s) - S_K(x_t)|^2 / d.

    x_t = a + sigma_t eps with a replay action a; S_K as in `estimated_score`, candidates = K. Source: DQS code in
    azizanlab/ReverseFlowMatching, src/agent/dqs.py, update_scores. batch.a (B, d), batch.s (B, ds).
    """
    field, a = models.actor, batch.a
    k_time, k_forward, k_samples = jax.random.split(key, 3)
    t = field.path.sample_t(k_time, a.shape[:1])
    sigma = field.path.sigma(t)[:, None]
    x = a + sigma * jax.random.normal(k_forward, a.shape)
    noises = jax.random.normal(k_samples, (candidates, *a.shape))
    score = jax.lax.stop_gradient(estimated_score(models.critic, x, sigma, noises, batch.s, temperature))
    gap = jnp.mean((field.score(x, t, batch.s) - score) ** 2, axis=-1)
    return jnp.mean(sigma[:, 0] ** 2 * gap), {"score": jnp.mean(jnp.abs(score))}


def critic_loss(models, batch, key, *, discount):
    """Each head regressed on r + gamma min_j Qbar_j(s', a'), a' one policy action; no entropy term.

    Source: Bellman backup of Boltzmann policy iteration; DQS code in azizanlab/ReverseFlowMatching, update_q.
    """
    next_a = models.actor.sample(key, batch.next_s)
    next_q = reduce(jnp.minimum, models.target_critic(batch.next_s, next_a))
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    return sum(jnp.mean((q - target) ** 2) for q in models.critic(batch.s, batch.a)), {"target": jnp.mean(target)}


def act(models, s, key):
    """One sample of the reverse process."""
    return models.actor.sample(key, s)
