"""QGPO with method mse in ChenDRAG/CEP-energy-guided-diffusion (4cc0622), diffusion_SDE/model.py: regressed energy."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.qgpo import TRAINS as TRAINS
from flowrl_kb.published.qgpo import act as act
from flowrl_kb.published.qgpo import actor_loss as actor_loss
from flowrl_kb.published.qgpo import critic_loss as critic_loss


def energy_loss(models, batch, key, *, temperature):
    """E (f(alpha_t a + sigma_t z, t, s) - beta min_h Qbar_h(s, a))^2 on data actions a (B, d); temperature = 1 / beta.

    Source: Offline_RL_2D/diffusion_SDE/model.py, update_qt, branch mse, whose baseline is zero.
    """
    k_time, k_noise = jax.random.split(key)
    path, a = models.actor.path, batch.a
    t = path.sample_t(k_time, a.shape[:1])
    noisy = path.alpha(t)[:, None] * a + path.sigma(t)[:, None] * jax.random.normal(k_noise, a.shape)
    label = jax.lax.stop_gradient(models.target_critic(batch.s, a).min(axis=0) / temperature)
    return jnp.mean((models.energy(noisy, t, batch.s) - label) ** 2), {"label": jnp.mean(label)}
