"""DPMD in typoverflow/flow-rl (bae22f4), flowrl/agent/online/dpmd.py: noised candidates, cut errors, a trained
temperature. Each loss draws its candidates anew, where the code draws them once for both; their law is one."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic", "log_temperature": "scalar"}


def candidates_and_weights(models, s, key, candidates, candidate_noise_std):
    """Actions a_k = b_k + varsigma n_k (K, B, d), b_k ~ pi_old(.|s), and their weights w_k (K, B), which are constants.

    w_k = exp((q_k - nu) / lambda), nu = lambda logsumexp_k(q_k / lambda), q_k = mean_i Q_i(s, a_k), lambda =
    exp(models.log_temperature). Source: jit_update_dpmd. s (B, ds); candidates = K; candidate_noise_std = varsigma.
    """
    k_action, k_noise = jax.random.split(key)
    a = models.old.sample(k_action, s, (candidates,))
    a = a + candidate_noise_std * jax.random.normal(k_noise, a.shape)
    temperature = jnp.exp(models.log_temperature)
    q = jnp.mean(models.critic(jnp.broadcast_to(s, (candidates, *s.shape)), a), axis=0)
    nu = temperature * jax.nn.logsumexp(q / temperature, axis=0)
    return a, jax.lax.stop_gradient(jnp.exp((q - nu) / temperature))


def actor_loss(models, batch, key, *, candidates, candidate_noise_std, error_max):
    """Weighted denoising of the candidates, every squared error cut at e.

    L = mean over k, rows and dimensions of K w_k min((eps_theta(alpha a_k + sigma eps_k, t_k, s) - eps_k)^2, e).
    Source: jit_update_dpmd, actor_loss_fn. batch.s (B, ds); error_max = e, the rest as in `candidates_and_weights`.
    """
    k_draw, k_time, k_noise = jax.random.split(key, 3)
    a, w = candidates_and_weights(models, batch.s, k_draw, candidates, candidate_noise_std)
    path = models.actor.path
    t, eps = path.sample_t(k_time, a.shape[:-1]), jax.random.normal(k_noise, a.shape)
    noisy = path.alpha(t)[..., None] * a + path.sigma(t)[..., None] * eps
    predicted = models.actor.eps(noisy, t, jnp.broadcast_to(batch.s, (candidates, *batch.s.shape)))
    error = (predicted - eps) ** 2
    cut = jnp.where(error < error_max, error, error_max)
    return jnp.mean(candidates * w[..., None] * cut), {"cut": jnp.mean(error >= error_max)}


def critic_loss(models, batch, key, *, discount):
    """All heads regressed on r + gamma min_i Qbar_i(s', a'), a' one action of the trained actor; no entropy.

    Source: jit_update_dpmd, critic_loss_fn.
    """
    next_a = models.actor.sample(key, batch.next_s)
    next_q = models.target_critic(batch.next_s, next_a).min(axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {}


def log_temperature_loss(models, batch, key, *, candidates, candidate_noise_std, target_kl):
    """lambda (kappa + H - log K), H the mean entropy of the weights: log K - H is their divergence from uniform.

    H = -sum_k p_k log(p_k + delta), p proportional to max(w, delta), delta = 1e-6; lambda =
    exp(models.log_temperature). Source: jit_update_dpmd, temp_loss_fn. target_kl = kappa, the rest as in
    `candidates_and_weights`.
    """
    _, w = candidates_and_weights(models, batch.s, key, candidates, candidate_noise_std)
    p = jnp.maximum(w, 1e-6)
    p = p / jnp.sum(p, axis=0)
    entropy = -jnp.mean(jnp.sum(p * jnp.log(p + 1e-6), axis=0))
    return jnp.exp(models.log_temperature) * (target_kl + entropy - jnp.log(candidates)), {"entropy": entropy}


def act(models, s, key):
    """One sample while data are collected. Source: sample_actions; in evaluation the best of ten."""
    return models.actor.sample(key, s)
