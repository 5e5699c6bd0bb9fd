"""SfBC: Offline Reinforcement Learning via High-Fidelity Generative Behavior Modeling, Chen et al. 2022
(arXiv 2209.14548)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key):
    """Denoising score matching on the data's actions; no value enters.

    L = E |sigma_t s_theta(alpha_t a + sigma_t eps, t, s) + eps|^2, summed over action dimensions. Source: behaviour
    model of the paper; official diffusion_SDE/loss.py. batch.a (B, d) are data actions.
    """
    k_time, k_noise = jax.random.split(key)
    path = models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    sigma = path.sigma(t)[:, None]
    z = jax.random.normal(k_noise, batch.a.shape)
    score = models.actor.score(path.alpha(t)[:, None] * batch.a + sigma * z, t, batch.s)
    return jnp.mean(jnp.sum((sigma * score + z) ** 2, axis=-1)), {}


def critic_loss(models, batch, key, *, discount, temperature, backup_of):
    """Regression on in-sample planned returns R_n = r_n + gamma max(R_(n+1), V(s_(n+1))).

    V(s') = sum_i w_i Q(s', a_i), w = softmax_i Q(s', a_i) / temperature over `backup_of` behaviour samples a_i, with
    the Q of the previous round (models.target_critic). batch.returns (B,) is r_n + gamma R_(n+1), the return of the
    data's own continuation. The paper has one critic: with one head the smallest is that head. Source: in-sample
    planning of the paper; temperature = 1 / alpha of official dataset/dataset.py, update_returns.
    """
    a = models.actor.sample(key, batch.next_s, (backup_of,))
    q = jnp.min(models.target_critic(batch.next_s, a), axis=0)
    v = jnp.sum(jax.nn.softmax(q / temperature, axis=0) * q, axis=0)
    continued = (batch.returns - batch.reward) / discount
    target = jax.lax.stop_gradient(batch.reward + discount * jnp.maximum(continued, batch.not_done * v))
    return jnp.sum(jnp.mean((models.critic(batch.s, batch.a) - target) ** 2, axis=-1)), {
        "planned": jnp.mean(continued < batch.not_done * v)
    }


def act(models, s, key, *, best_of, acting_temperature):
    """One of `best_of` behaviour samples, drawn with weights softmax_i Q(s, a_i) / acting_temperature.

    Source: policy of the paper by importance resampling; official diffusion_SDE/model.py, select_actions.
    """
    k_sample, k_pick = jax.random.split(key)
    a = models.actor.sample(k_sample, s, (best_of,))
    q = jnp.min(models.critic(s, a), axis=0)
    index = jax.random.categorical(k_pick, q / acting_temperature, axis=0)
    return jnp.take_along_axis(a, index[None, ..., None], axis=0)[0]
