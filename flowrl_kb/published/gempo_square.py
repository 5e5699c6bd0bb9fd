"""GeMPO with squared weights: flowrl/agent/online/gempo.py of typoverflow/flow-rl (bae22f4), reweight = square."""

import jax
import jax.numpy as jnp

from flowrl_kb.published.gempo import act as act
from flowrl_kb.published.gempo import critic_loss as critic_loss

TRAINS = {"actor": "field", "critic": "critic"}


def normaliser(q, temp):
    """The nu (B,) at which max((q_j - nu) / temp, 0)^2 sums to one over the candidates of q (K, B).

    With the k largest q positive, nu is the smaller root of sum_{j <= k} (q_j - nu)^2 = temp^2; k counts the candidates
    whose larger ones exceed them by squares that sum to temp^2 at most. Source: solve_normalizer_square.
    """
    top = jnp.max(q, axis=0)
    q = -jnp.sort(top - q, axis=0)
    k = jnp.arange(1, q.shape[0] + 1)[:, None]
    first, second = jnp.cumsum(q, axis=0), jnp.cumsum(q**2, axis=0)
    positive = jnp.sum(second - 2.0 * first * q + k * q**2 <= temp**2, axis=0)
    positive = jnp.maximum(positive, 1)[None]
    first, second = (jnp.take_along_axis(x, positive - 1, axis=0) for x in (first, second))
    root = jnp.sqrt(jnp.maximum(first**2 - positive * (second - temp**2), 0.0))
    return top + ((first - root) / positive)[0]


def actor_loss(models, batch, key, *, temperature, candidates):
    """Reweighted matching of the measure pi_old f(Q - nu) with f the square of the positive part.

    L = mean_{s, j} K w_j |eps_theta(alpha a_j + sigma eps_j, t_j, s) - eps_j|^2 / d, a_j ~ pi_old(.|s),
    w_j = max((q_j - nu) / tau, 0)^2, sum_j w_j = 1, q_j = mean_i Q_i(s, a_j). tau = 2 sqrt(K) lambda with lambda =
    temperature, the same weights normalised to mean one. Source: jit_update_gempo, without its additive noise, loss
    clip and trained tau. batch.s (B, ds); candidates = K.
    """
    k_action, k_time, k_noise = jax.random.split(key, 3)
    s = jnp.broadcast_to(batch.s, (candidates, *batch.s.shape))
    a = models.old.sample(k_action, batch.s, (candidates,))
    tau = 2.0 * jnp.sqrt(candidates) * temperature
    q = jnp.mean(models.critic(s, a), axis=0)
    w = jax.lax.stop_gradient(jnp.maximum((q - normaliser(q, tau)) / tau, 0.0) ** 2)
    path = models.actor.path
    t, eps = path.sample_t(k_time, a.shape[:-1]), jax.random.normal(k_noise, a.shape)
    noisy = path.alpha(t)[..., None] * a + path.sigma(t)[..., None] * eps
    error = (models.actor.eps(noisy, t, s) - eps) ** 2
    return jnp.mean(candidates * w[..., None] * error), {"positive": jnp.mean(w > 0.0)}
