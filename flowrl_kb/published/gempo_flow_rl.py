"""GeMPO as typoverflow/flow-rl (57f4d02) ships it, flowrl/agent/online/gempo.py with reweight = linear: noised
candidates, cut errors, a trained tau. Each loss draws its candidates anew, where the code draws them once for both."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.gempo import act as act
from flowrl_kb.published.gempo import critic_loss as critic_loss
from flowrl_kb.published.gempo import normaliser

TRAINS = {"actor": "field", "critic": "critic", "log_temperature": "scalar"}


def candidates_and_weights(models, s, key, candidates, candidate_noise_std):
    """Actions a_j = b_j + varsigma n_j (K, B, d), b_j ~ pi_old(.|s), and their weights w_j (K, B), which are constants.

    w_j = max((q_j - nu) / tau, 0), sum_j w_j = 1, q_j = mean_i Q_i(s, a_j). tau = K exp(models.log_temperature): the
    scalar is the log temperature of weights of mean one, which differs from log tau by a constant. Source:
    jit_update_gempo. s (B, ds); candidates = K; candidate_noise_std = varsigma.
    """
    k_action, k_noise = jax.random.split(key)
    a = models.old.sample(k_action, s, (candidates,))
    a = a + candidate_noise_std * jax.random.normal(k_noise, a.shape)
    q = jnp.mean(models.critic(jnp.broadcast_to(s, (candidates, *s.shape)), a), axis=0)
    tau = candidates * jnp.exp(models.log_temperature)
    return a, jax.lax.stop_gradient(jnp.maximum((q - normaliser(q, tau)) / tau, 0.0))


def actor_loss(models, batch, key, *, candidates, candidate_noise_std, error_max):
    """Weighted denoising of the candidates, every squared error cut at e.

    L = mean over j, rows and dimensions of K w_j min((eps_theta(alpha a_j + sigma eps_j, t_j, s) - eps_j)^2, e).
    Source: jit_update_gempo, actor_loss_fn. batch.s (B, ds); error_max = e, the rest as in `candidates_and_weights`.
    """
    k_draw, k_time, k_noise = jax.random.split(key, 3)
    a, w = candidates_and_weights(models, batch.s, k_draw, candidates, candidate_noise_std)
    path = models.actor.path
    t, eps = path.sample_t(k_time, a.shape[:-1]), jax.random.normal(k_noise, a.shape)
    noisy = path.alpha(t)[..., None] * a + path.sigma(t)[..., None] * eps
    predicted = models.actor.eps(noisy, t, jnp.broadcast_to(batch.s, (candidates, *batch.s.shape)))
    error = (predicted - eps) ** 2
    cut = jnp.where(error < error_max, error, error_max)
    return jnp.mean(candidates * w[..., None] * cut), {"positive": jnp.mean(w > 0.0)}


def log_temperature_loss(models, batch, key, *, candidates, candidate_noise_std, target_kl):
    """tau (kappa + H - log K), H the mean entropy of the weights: log K - H is their divergence from uniform.

    H = -sum_j p_j log(p_j + delta), p proportional to max(w, delta), delta = 1e-6; tau = K exp(models.log_temperature).
    Source: jit_update_gempo, temp_loss_fn. target_kl = kappa, the rest as in `candidates_and_weights`.
    """
    _, w = candidates_and_weights(models, batch.s, key, candidates, candidate_noise_std)
    p = jnp.maximum(w, 1e-6)
    p = p / jnp.sum(p, axis=0)
    entropy = -jnp.mean(jnp.sum(p * jnp.log(p + 1e-6), axis=0))
    tau = candidates * jnp.exp(models.log_temperature)
    return tau * (target_kl + entropy - jnp.log(candidates)), {"entropy": entropy}
