"""DAC: Diffusion Actor-Critic, Fang et al. 2024 (arXiv 2405.20555)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, temperature):
    """Cloning of the data plus soft Q-guidance: a term that is linear in the predicted noise.

    L = eta mean |eps_theta(x_t) - eps|^2 + mean sigma_t g(x_t) . eps_theta(x_t),
    g = grad_x (1/H) sum_h Qbar_h(s, x_t) / mean |Qbar(s, a)|, means over batch and action dimensions.
    Completing the square shows the temperature lambda = 2 eta, hence eta = temperature / 2 here.
    Source: official agents/dac.py, Q_guidance = soft. batch.a (B, d) are data actions.
    """
    eta = temperature / 2.0
    k_time, k_noise = jax.random.split(key)
    s, path = batch.s, models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    eps, sigma = jax.random.normal(k_noise, batch.a.shape), path.sigma(t)[:, None]
    x = path.alpha(t)[:, None] * batch.a + sigma * eps
    size = jnp.mean(jnp.abs(models.target_critic(s, batch.a).mean(axis=0)))
    g = jax.lax.stop_gradient(jax.grad(lambda a: models.target_critic(s, a).mean(axis=0).sum())(x) / size)
    predicted = models.actor.eps(x, t, s)
    cloning = jnp.mean((predicted - eps) ** 2)
    guidance = jnp.mean(sigma * g * predicted)
    return eta * cloning + guidance, {"cloning": cloning, "guidance": guidance}


def critic_loss(models, batch, key, *, discount, backup_of, pessimism):
    """All heads regressed on r + gamma (mean_h - rho std_h) of the heads' averages over next actions.

    `backup_of` actions a' of the averaged actor; pessimism = rho. Source: agents/dac.py, q_tar = lcb.
    """
    next_a = models.target_actor.sample(key, batch.next_s, (backup_of,))
    v = models.target_critic(batch.next_s, next_a).mean(axis=1)
    lower = v.mean(axis=0) - pessimism * v.std(axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * lower)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {"lower": jnp.mean(lower)}


def act(models, s, key, *, best_of):
    """The sample of largest mean over averaged heads among `best_of`. Source: _jit_sample_actions."""
    a = models.actor.sample(key, s, (best_of,))
    best = jnp.argmax(jnp.mean(models.target_critic(s, a), axis=0), axis=0)
    return jnp.take_along_axis(a, best[None, ..., None], axis=0)[0]
