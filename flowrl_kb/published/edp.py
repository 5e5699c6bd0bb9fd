"""EDP: Efficient Diffusion Policies for Offline Reinforcement Learning, Kang et al. 2023 (arXiv 2305.20081)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, q_weight, box=None):
    """Denoising loss on the data minus a normalised Q of the action that one prediction makes of the noised one.

    L = E |eps_theta(x_t) - eps|^2 / d - eta E[Q_k(s, a0)] / sg E|Q_k(s, a0)|, a0 = cut((x_t - sigma eps_theta) / alpha)
    x_t = alpha a + sigma eps, k one of two heads by a coin flip. Both terms use the same a, t, eps. batch.a (B, d) are
    data actions; q_weight = eta. Source: action approximation of the paper; official diffusion/dql.py, loss_type TD3.
    """
    k_time, k_noise, k_coin = jax.random.split(key, 3)
    field, s = models.actor, batch.s
    t = field.path.sample_t(k_time, batch.a.shape[:1])
    alpha, sigma = field.path.alpha(t)[:, None], field.path.sigma(t)[:, None]
    eps = jax.random.normal(k_noise, batch.a.shape)
    x = alpha * batch.a + sigma * eps
    predicted = field.eps(x, t, s)
    cloning = jnp.mean((predicted - eps) ** 2)
    denoised = x / alpha - predicted * sigma / alpha
    if box is not None:
        denoised = jnp.clip(denoised, -box, box)
    q_first, q_second = models.critic(s, denoised)
    q = jnp.where(jax.random.bernoulli(k_coin), q_first, q_second)
    weight = q_weight / jax.lax.stop_gradient(jnp.mean(jnp.abs(q)))
    return cloning - weight * jnp.mean(q), {"cloning": cloning, "weight": weight}


def critic_loss(models, batch, key, *, discount, box=None):
    """Both heads regressed on r + gamma min_i Qbar_i(s', a'), a' one clipped action of the averaged actor.

    Source: official diffusion/dql.py, get_value_loss (no max-Q backup); the last step of the chain is clipped.
    """
    next_a = models.target_actor.sample(key, batch.next_s)
    if box is not None:
        next_a = jnp.clip(next_a, -box, box)
    next_q = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    first, second = models.critic(batch.s, batch.a)
    return jnp.mean((first - target) ** 2) + jnp.mean((second - target) ** 2), {}


def act(models, s, key, *, best_of, acting_temperature):
    """One of `best_of` samples, by softmax weights of the smaller head. Source: official diffusion/trainer.py."""
    k_sample, k_pick = jax.random.split(key)
    a = models.actor.sample(k_sample, s, (best_of,))
    q = jnp.min(models.critic(s, a), axis=0)
    pick = jax.random.categorical(k_pick, q / acting_temperature, axis=0)
    return jnp.take_along_axis(a, pick[None, ..., None], axis=0)[0]
