"""FPO++ in the official trainer (RPFey/fpo-control e919d4a, isaaclab_fpo) with trust_region_mode ppo.

Left out: the scale between generated and executed actions, the cuts of executed actions at 2 and of standardised
advantages at 100, and a second cut of bad actions' losses, at the same height as the first.
"""

import jax
import jax.numpy as jnp

from flowrl_kb.published.fpopp import act as integrate
from flowrl_kb.published.fpopp import cfm_loss, psi_ppo, value_loss

__all__ = ["TRAINS", "act", "actor_loss", "value_loss"]

TRAINS = {"actor": "field", "value": "value"}


def actor_loss(models, batch, key, *, clip, log_prob_reduction, log_ratio_max, cfm_loss_max):
    """The clipped surrogate of one ratio for each pair, whatever the sign of the advantage.

    L = -E mean_j min(rho_j A, clip(rho_j, 1 +- eps) A), rho_j = exp(min(min(l_old,j, M) - min(l_theta,j, M), m)); the
    exponent keeps its gradient above m = log_ratio_max, a loss above M = cfm_loss_max has none. Source:
    algorithms/fpo.py, update. batch.a (B, d) drawn by models.old, batch.pair_t (N, B), batch.pair_eps (N, B, d),
    batch.advantage (B,).
    """
    pairs = (batch.s, batch.a, batch.pair_t, batch.pair_eps, log_prob_reduction)
    old = jax.lax.stop_gradient(jnp.minimum(cfm_loss(models.old, *pairs), cfm_loss_max))
    drop = old - jnp.minimum(cfm_loss(models.actor, *pairs), cfm_loss_max)
    rho = jnp.exp(drop - jax.lax.stop_gradient(jnp.maximum(drop - log_ratio_max, 0.0)))
    return -jnp.mean(psi_ppo(rho, batch.advantage, clip)), {"clipped": jnp.mean(jnp.abs(rho - 1.0) > clip)}


def act(models, s, key, *, noise_std):
    """Euler integration from Gaussian noise plus Gaussian noise of deviation `noise_std`, which is stored as well.

    Source: modules/actor_critic.py, act while training, action_perturb_std.
    """
    k_start, k_noise = jax.random.split(key)
    a = integrate(models, s, k_start)
    return a + noise_std * jax.random.normal(k_noise, a.shape)
