"""FPO++ in the official trainer (RPFey/fpo-control e919d4a, isaaclab_fpo), as configured for most robots."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.fpopp import act as integrate
from flowrl_kb.published.fpopp import cfm_loss, psi_ppo, psi_spo, value_loss

__all__ = ["TRAINS", "act", "actor_loss", "value_loss"]

TRAINS = {"actor": "field", "value": "value"}


def ratios(models, batch, log_prob_reduction, log_ratio_max):
    """One ratio (N, B) for each stored pair: exp of the drop of the loss, no loss being counted above 20.

    The exponent is held at m = log_ratio_max and keeps its gradient; a loss above 20 has none. Source:
    algorithms/fpo.py, update, with cfm_loss_clamp and cfm_diff_clamp_max.
    """
    pairs = (batch.s, batch.a, batch.pair_t, batch.pair_eps, log_prob_reduction)
    old, new = (jnp.minimum(cfm_loss(field, *pairs), 20.0) for field in (models.old, models.actor))
    drop = jax.lax.stop_gradient(old) - new
    return jnp.exp(drop + jax.lax.stop_gradient(jnp.minimum(drop, log_ratio_max) - drop))


def actor_loss(models, batch, key, *, clip, log_prob_reduction, log_ratio_max):
    """Mean over pairs and actions of -psi(rho_j, A): the clipped surrogate where A > 0, the squared one elsewhere.

    Source: algorithms/fpo.py, trust_region_mode aspo. batch.a (B, d) drawn by models.old, batch.pair_t (N, B),
    batch.pair_eps (N, B, d), batch.advantage (B,).
    """
    rho, advantage = ratios(models, batch, log_prob_reduction, log_ratio_max), batch.advantage
    psi = jnp.where(advantage > 0.0, psi_ppo(rho, advantage, clip), psi_spo(rho, advantage, clip))
    return -jnp.mean(psi), {"ratio": jnp.mean(rho)}


def act(models, s, key, *, noise_std):
    """Euler integration from Gaussian noise plus Gaussian noise of deviation `noise_std`, which is stored as well.

    Source: modules/actor_critic.py, act while training, action_perturb_std.
    """
    k_start, k_noise = jax.random.split(key)
    a = integrate(models, s, k_start)
    return a + noise_std * jax.random.normal(k_noise, a.shape)
