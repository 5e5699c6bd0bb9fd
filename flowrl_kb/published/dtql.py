"""DTQL: Diffusion Policies Creating a Trust Region for Offline Reinforcement Learning, Chen, Wang and Zhou 2024
(arXiv 2405.19690)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "gaussian", "behaviour": "field", "critic": "critic", "value": "value"}
SIGMA_DATA = 0.5


def denoising_loss(field, a, s, key):
    """Denoising loss of a field at actions a (B, d): E |D(a + sigma eps, sigma) - a|^2 / (c_out^2 d).

    D is the denoised action, c_out = sigma sigma_d / sqrt(sigma^2 + sigma_d^2). Source: official diffusion/karras.py;
    sigma is the noise over the signal where the path also shrinks actions.
    """
    k_level, k_noise = jax.random.split(key)
    t = field.path.sample_t(k_level, a.shape[:1])
    alpha, sigma = field.path.alpha(t)[:, None], field.path.sigma(t)[:, None]
    x = alpha * a + sigma * jax.random.normal(k_noise, a.shape)
    ratio = sigma / alpha
    c_out = ratio * SIGMA_DATA / jnp.sqrt(ratio**2 + SIGMA_DATA**2)
    return jnp.mean(((field.x0(x, t, s) - a) / c_out) ** 2)


def behaviour_loss(models, batch, key):
    """The denoising loss on data actions. Source: official diffusion_train_step on the batch."""
    return denoising_loss(models.behaviour, batch.a, batch.s, key), {}


def actor_loss(models, batch, key, *, bc_weight):
    """One-step policy that maximises Q while the frozen denoiser still restores its noised actions.

    L = alpha L_TR(a_theta) - E min_j Q_j(s, a_theta), L_TR the denoising loss of the data's model at a_theta, with
    gradients through its input and its target. bc_weight = alpha. Source: official agents/dtql.py, gamma = 0.
    """
    k_action, k_loss = jax.random.split(key)
    a = models.actor.sample(k_action, batch.s)
    trust = denoising_loss(models.behaviour, a, batch.s, k_loss)
    first, second = models.critic(batch.s, a)
    q = jnp.mean(jnp.minimum(first, second))  # not jnp.min: see `parts.aggregation.min`
    return bc_weight * trust - q, {"trust": trust, "q": q}


def value_loss(models, batch, key, *, expectile):
    """Expectile regression on the smaller online critic. Source: official q_v_critic_loss."""
    gap = jax.lax.stop_gradient(jnp.min(models.critic(batch.s, batch.a), axis=0)) - models.value(batch.s)
    return jnp.mean(jnp.where(gap > 0, expectile, 1.0 - expectile) * gap**2), {}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma V(s'), V the online value. Source: official q_v_critic_loss."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    first, second = models.critic(batch.s, batch.a)
    return jnp.mean((first - target) ** 2) + jnp.mean((second - target) ** 2), {}


def act(models, s, key, *, best_of, acting_temperature):
    """One of N samples, drawn with softmax weights of the smaller target critic. Source: official sample_action."""
    k_sample, k_pick = jax.random.split(key)
    a = models.actor.sample(k_sample, jnp.broadcast_to(s, (best_of, *s.shape)))
    logits = jnp.min(models.target_critic(jnp.broadcast_to(s, (best_of, *s.shape)), a), axis=0) / acting_temperature
    pick = jax.random.categorical(k_pick, logits, axis=0)
    return jnp.take_along_axis(a, pick[None, :, None], axis=0)[0]
