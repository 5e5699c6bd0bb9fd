"""QVPO: Diffusion-based Reinforcement Learning via Q-weighted Variational Policy Optimization, Ding et al. 2024
(arXiv 2405.16173)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def selected(critic, s, a):
    """The action (B, d) of largest smaller head among a (N, B, d), and all smaller heads (N, B)."""
    q = jnp.min(critic(s, a), axis=0)
    return jnp.take_along_axis(a, jnp.argmax(q, axis=0)[None, :, None], axis=0)[0], q


def actor_loss(models, batch, key, *, candidates, floor_weight, floor_samples, box=None):
    """Q-weighted denoising of the best own sample, and denoising of uniform actions as a surrogate of entropy.

    L = E w |eps_theta(a*_t) - eps|^2 + E sum_u omega w |eps_theta(u_t) - eps|^2, a* the best of the policy's own
    `candidates` by min_i Q_i, w = max(Q(a*) - mean_j Q(a_j), 0), u ~ U; omega = floor_weight, floor_samples = number
    of u for each state. Both terms share one mean over rows and dimensions. Source: Q-weighted variational loss with
    transform qadv, and entropy term; official agent/qvpo.py (train), agent/diffusion.py (sample_n). batch.s (B, ds).
    """
    field = models.actor
    k_policy, k_uniform, k_time, k_noise = jax.random.split(key, 4)
    own = field.sample(k_policy, batch.s, (candidates,))
    chosen, q = selected(models.critic, batch.s, own)
    w = jnp.maximum(jnp.max(q, axis=0) - jnp.mean(q, axis=0), 0.0)
    half = 1.0 if box is None else box
    u = jax.random.uniform(k_uniform, (floor_samples, *chosen.shape), minval=-half, maxval=half)
    rows = jax.lax.stop_gradient(jnp.concatenate([chosen[None], u]))
    weights = jax.lax.stop_gradient(w * jnp.array([1.0] + [floor_weight] * floor_samples)[:, None])
    t = field.path.sample_t(k_time, rows.shape[:-1])
    eps = jax.random.normal(k_noise, rows.shape)
    x = field.path.alpha(t)[..., None] * rows + field.path.sigma(t)[..., None] * eps
    error = jnp.mean((field.eps(x, t, batch.s) - eps) ** 2, axis=-1)
    return jnp.mean(weights * error), {"advantage": jnp.mean(w)}


def critic_loss(models, batch, key, *, discount, backup_of):
    """Double-Q regression on r + gamma min_i Qbar_i(s', a'*), a'* the best of `backup_of` averaged-actor actions.

    The averaged critics select as well as value. Source: official agent/qvpo.py, Q training.
    """
    proposals = models.target_actor.sample(key, batch.next_s, (backup_of,))
    next_a, _ = selected(models.target_critic, batch.next_s, proposals)
    bootstrap = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * bootstrap)
    q_1, q_2 = models.critic(batch.s, batch.a)
    return jnp.mean((q_1 - target) ** 2) + jnp.mean((q_2 - target) ** 2), {"target": jnp.mean(target)}


def act(models, s, key, *, best_of):
    """The sample of largest smaller critic among `best_of`: the efficient behaviour policy."""
    a = models.actor.sample(key, s, (best_of,))
    index = jnp.argmax(jnp.min(models.critic(s, a), axis=0), axis=0)
    return jnp.take_along_axis(a, index[None, ..., None], axis=0)[0]
