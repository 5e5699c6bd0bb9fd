"""GeMPO: Generalized Measure Matching for Online Diffusion Reinforcement Learning, Ma et al. 2026
(arXiv 2603.10250)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def normaliser(q, temp):
    """The nu (B,) at which max(q_j - nu, 0) / temp sums to one over the candidates of q (K, B).

    nu = max_k (sum of the k largest q - temp) / k: every k gives a lower bound, the number of positive weights gives
    equality.
    """
    best = jnp.cumsum(-jnp.sort(-q, axis=0), axis=0)
    k = jnp.arange(1, q.shape[0] + 1)[:, None]
    return jnp.max((best - temp) / k, axis=0)


def actor_loss(models, batch, key, *, temperature, candidates):
    """Reweighted matching of the measure pi_old f(Q - nu) with the linear f.

    L = mean_{s, j} K w_j |eps_theta(alpha a_j + sigma eps_j, t_j, s) - eps_j|^2 / d, a_j ~ pi_old(.|s),
    w_j = max((q_j - nu) / tau, 0), sum_j w_j = 1, q_j = mean_i Q_i(s, a_j). tau = K lambda with lambda = temperature,
    the same weights normalised to mean one. Source: flowrl/agent/online/gempo.py, reweight = linear, without its
    additive noise, loss clip and trained tau. batch.s (B, ds); candidates = K.
    """
    k_action, k_time, k_noise = jax.random.split(key, 3)
    s = jnp.broadcast_to(batch.s, (candidates, *batch.s.shape))
    a = models.old.sample(k_action, batch.s, (candidates,))
    tau = temperature * candidates
    q = jnp.mean(models.critic(s, a), axis=0)
    w = jax.lax.stop_gradient(jnp.maximum((q - normaliser(q, tau)) / tau, 0.0))
    path = models.actor.path
    t, eps = path.sample_t(k_time, a.shape[:-1]), jax.random.normal(k_noise, a.shape)
    noisy = path.alpha(t)[..., None] * a + path.sigma(t)[..., None] * eps
    error = (models.actor.eps(noisy, t, s) - eps) ** 2
    return jnp.mean(candidates * w[..., None] * error), {"positive": jnp.mean(w > 0.0)}


def critic_loss(models, batch, key, *, discount):
    """All heads regressed on r + gamma min_i Qbar_i(s', a'), a' one action of the trained actor.

    Source: flowrl/agent/online/gempo.py, critic_loss_fn.
    """
    next_a = models.actor.sample(key, batch.next_s)
    next_q = models.target_critic(batch.next_s, next_a).min(axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {}


def act(models, s, key):
    """One sample while data are collected. Source: flowrl/agent/online/dpmd.py, sample_actions."""
    return models.actor.sample(key, s)
