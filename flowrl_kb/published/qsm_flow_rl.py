"""QSM in flow-rl (bae22f4, agent/online/qsm.py): target critics, and a normalised gradient times sigma."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, temperature):
    """Regression of the noise prediction on -sigma g / (lambda E|g|) at the noised replay action.

    g = grad_a mean_i Qbar_i(s, x_t); E|g| is the mean over the batch and its dimensions, plus 1e-6. Source:
    jit_update_qsm_actor. batch.a (B, d) are replay actions; lambda = temperature.
    """
    k_time, k_noise = jax.random.split(key)
    path = models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    x = alpha * batch.a + sigma * jax.random.normal(k_noise, batch.a.shape)
    g = jax.vmap(jax.grad(lambda a, s: models.target_critic(s, a).mean()))(x, batch.s)
    target = jax.lax.stop_gradient(-sigma * g / (temperature * (jnp.abs(g).mean() + 1e-6)))
    return jnp.mean((models.actor.eps(x, t, batch.s) - target) ** 2), {"target": jnp.mean(jnp.abs(target))}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma min_i Qbar_i(s', a'), a' one action of the trained actor.

    Source: jit_update_qsm_critic, whose mean over heads is half of the sum here.
    """
    next_a = models.actor.sample(key, batch.next_s)
    bootstrap = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    y = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * bootstrap)
    return jnp.mean((models.critic(batch.s, batch.a) - y) ** 2), {"target": jnp.mean(y)}


def act(models, s, key, *, best_of):
    """The best of `best_of` samples by the smaller online head: evaluation. Source: jit_sample_actions."""
    a = models.actor.sample(key, s, (best_of,))
    q = jnp.min(models.critic(s, a), axis=0)
    return jnp.take_along_axis(a, jnp.argmax(q, axis=0)[None, :, None], axis=0)[0]
