"""QGPO: Contrastive Energy Prediction for Exact Energy-Guided Diffusion Sampling in Offline Reinforcement Learning,
Lu, Chen et al. 2023 (arXiv 2304.12824)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic", "energy": "energy"}


def actor_loss(models, batch, key):
    """Denoising score matching on the data's actions; no value enters.

    L = E |sigma_t s_theta(alpha_t a + sigma_t z, t, s) + z|^2, summed over action dimensions. Source: behaviour model
    of the paper; official diffusion_SDE/loss.py. batch.a (B, d) are data actions.
    """
    k_time, k_noise = jax.random.split(key)
    path = models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    z = jax.random.normal(k_noise, batch.a.shape)
    score = models.actor.score(alpha * batch.a + sigma * z, t, batch.s)
    return jnp.mean(jnp.sum((score * sigma + z) ** 2, axis=1)), {}


def energy_loss(models, batch, key, *, temperature, candidates):
    """In-support contrastive energy prediction.

    L = -E sum_i p_i log( e^f(a_i,t) / sum_j e^f(a_j,t) ), p_i = e^(beta Q(s, a_i)) / sum_j e^(beta Q(s, a_j)), with a_i
    drawn by the behaviour model, all noised to one level t with noises of their own, and f the energy network.
    temperature = 1 / beta, candidates = M. Source: in-support energy prediction of the paper; official
    diffusion_SDE/model.py, update_qt with method CEP, whose Q is the smaller head of the averaged critic.
    """
    k_support, k_time, k_noise = jax.random.split(key, 3)
    path = models.actor.path
    support = jnp.stack([models.actor.sample(k, batch.s) for k in jax.random.split(k_support, candidates)], axis=1)
    s = jnp.repeat(batch.s[:, None], candidates, axis=1)
    t = jnp.repeat(path.sample_t(k_time, batch.s.shape[:1])[:, None], candidates, axis=1)
    noisy = path.alpha(t)[..., None] * support + path.sigma(t)[..., None] * jax.random.normal(k_noise, support.shape)
    weight = jnp.exp((q := models.target_critic(s, support).min(axis=0) / temperature) - q.max(axis=1, keepdims=True))
    f = models.energy(noisy, t, s)
    log_share = f - jax.scipy.special.logsumexp(f, axis=1, keepdims=True)
    p = weight / weight.sum(axis=1, keepdims=True)
    return -jnp.mean(jnp.sum(p * log_share, axis=1)), {"spread": jnp.mean(jnp.std(f, axis=1))}


def critic_loss(models, batch, key, *, discount, backup_temperature, backup_of):
    """In-support softmax Q-learning: heads regressed on r + gamma sum_i softmax_i(beta_Q Q(s', a_i)) Q(s', a_i).

    Q the smaller averaged head, a_i `backup_of` actions of the behaviour model, backup_temperature = 1 / beta_Q.
    Source: in-support softmax Q-learning of the paper; official diffusion_SDE/model.py, update_q0.
    """
    a = models.actor.sample(key, batch.next_s, (backup_of,))
    q = models.target_critic(batch.next_s, a).min(axis=0)
    v = jnp.sum(jax.nn.softmax(q / backup_temperature, axis=0) * q, axis=0)
    target = jax.lax.stop_gradient(batch.reward + batch.not_done * discount * v)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {"v": jnp.mean(v)}


def act(models, s, key, *, guidance_weight, box=None):
    """One action by the probability-flow ODE with score s_theta + w grad_a f, w = guidance_weight.

    dx/dt = (alpha'/alpha) x - (1/2) g^2 score with g^2 = 2 sigma sigma' - 2 (alpha'/alpha) sigma^2, Euler steps along
    the grid in place of DPM-Solver. Source: guided sampling of the paper; official forward_dmp_wrapper_fn.
    """
    field, path = models.actor, models.actor.path
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))
    for start, end in zip(field.grid[:-1], field.grid[1:], strict=True):
        t = jnp.full(x.shape[:-1], start)
        slope = jax.grad(lambda a, t=t: models.energy(a, t, s).sum())(x)
        score = field.score(x, t, s) + guidance_weight * slope
        (alpha, d_alpha), (sigma, d_sigma) = (
            jax.jvp(f, (start,), (jnp.ones_like(start),)) for f in (path.alpha, path.sigma)
        )
        drift = d_alpha / alpha
        x = x + (end - start) * (drift * x - (sigma * d_sigma - drift * sigma**2) * score)
    return x if box is None else jnp.clip(x, -box, box)
