"""iDEM in mahaitongdae/diffusion_policy_online_rl (a50cf41), relax/algorithm/idem.py: what is noised and what the
Bellman target reads is what would be executed; both critics of the estimate are online."""

from functools import reduce

import jax
import jax.numpy as jnp

from flowrl_kb.published.sdac_official import act, critic_loss, log_temperature_loss

__all__ = ["TRAINS", "act", "actor_loss", "critic_loss", "log_temperature_loss"]

TRAINS = {"actor": "field", "critic": "critic", "log_temperature": "scalar"}


def actor_loss(models, batch, key, *, temperature, candidates, best_of, noise_std, box=None):
    """E |eps_theta(x_t) + sigma g|^2 / d, g = d/dx_t log sum_k exp(min_i Q_i(s, (x_t - sigma n_k) / alpha) / lambda).

    x_t = alpha a + sigma eps, a an executed action; arguments of Q are cut to the box. Source: get_lse_by_idem and
    policy_loss_fn, where lambda is one. batch.s (B, ds); candidates = number of n_k; lambda = temperature.
    """
    k_action, k_time, k_forward, k_reverse = jax.random.split(key, 4)
    a = act(models, batch.s, k_action, best_of=best_of, noise_std=noise_std)
    path = models.actor.path
    t = path.sample_t(k_time, batch.s.shape[:1])
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    x = jax.lax.stop_gradient(alpha * a + sigma * jax.random.normal(k_forward, a.shape))
    n = jax.random.normal(k_reverse, (candidates, *a.shape))
    s = jnp.broadcast_to(batch.s, (candidates, *batch.s.shape))

    def log_sum(x):
        guess = (x - sigma * n) / alpha
        guess = guess if box is None else jnp.clip(guess, -box, box)
        smaller = reduce(jnp.minimum, models.critic(s, guess))
        return jax.scipy.special.logsumexp(smaller / temperature, axis=0).sum()

    noise = -sigma * jax.lax.stop_gradient(jax.grad(log_sum)(x))
    return jnp.mean((models.actor.eps(x, t, batch.s) - noise) ** 2), {"noise": jnp.mean(jnp.abs(noise))}
