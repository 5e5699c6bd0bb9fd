"""GeMPO with exponential weights: flowrl/agent/online/gempo.py of typoverflow/flow-rl (bae22f4), reweight = exp."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.gempo import act as act
from flowrl_kb.published.gempo import critic_loss as critic_loss

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, temperature, candidates):
    """Reweighted matching of the measure pi_old exp((Q - nu) / tau).

    L = mean_{s, j} K w_j |eps_theta(alpha a_j + sigma eps_j, t_j, s) - eps_j|^2 / d, a_j ~ pi_old(.|s),
    w_j = exp((q_j - nu) / tau), nu = tau logsumexp_j(q_j / tau), q_j = mean_i Q_i(s, a_j); tau = temperature. Source:
    jit_update_gempo, without its additive noise, loss clip and trained tau. batch.s (B, ds); candidates = K.
    """
    k_action, k_time, k_noise = jax.random.split(key, 3)
    s = jnp.broadcast_to(batch.s, (candidates, *batch.s.shape))
    a = models.old.sample(k_action, batch.s, (candidates,))
    q = jnp.mean(models.critic(s, a), axis=0)
    nu = temperature * jax.nn.logsumexp(q / temperature, axis=0)
    w = jax.lax.stop_gradient(jnp.exp((q - nu) / temperature))
    path = models.actor.path
    t, eps = path.sample_t(k_time, a.shape[:-1]), jax.random.normal(k_noise, a.shape)
    noisy = path.alpha(t)[..., None] * a + path.sigma(t)[..., None] * eps
    error = (models.actor.eps(noisy, t, s) - eps) ** 2
    return jnp.mean(candidates * w[..., None] * error), {"largest_weight": jnp.mean(jnp.max(w, axis=0))}
