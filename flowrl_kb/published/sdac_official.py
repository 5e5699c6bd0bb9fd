"""SDAC in the official code (mahaitongdae/diffusion_policy_online_rl a50cf41, relax/algorithm/sdac.py): what is noised
and what the Bellman target reads is what would be executed.

Left out: the temperature is a fifth of the trained scalar of the noise; here it is constant.
"""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic", "log_temperature": "scalar"}


def act(models, s, key, *, best_of, noise_std):
    """The best of `best_of` policy samples by the smaller online head, plus noise of deviation noise_std e^(log alpha).

    Source: relax/network/diffv2.py, get_action, which cuts samples at the box and the noisy action not.
    """
    k_sample, k_noise = jax.random.split(key)
    a = models.actor.sample(k_sample, s, (best_of,))
    best = jnp.argmax(models.critic(s, a).min(axis=0), axis=0)
    chosen = jax.vmap(lambda i, of_state: of_state[i], in_axes=(0, 1))(best, a)
    return chosen + noise_std * jnp.exp(models.log_temperature) * jax.random.normal(k_noise, chosen.shape)


def actor_loss(models, batch, key, *, temperature, candidates, best_of, noise_std, box=None):
    """L = E sum_k w_k |eps_theta(x_t) - n_k|^2 / d, a_k = (x_t - sigma n_k) / alpha cut to the box.

    w = softmax_k(min_i Q_i(s, a_k) / lambda), x_t = alpha a + sigma eps, a an executed action. Source: policy_loss_fn.
    batch.s (B, ds); candidates = number of n_k for each x_t; lambda = temperature.
    """
    k_action, k_time, k_forward, k_reverse = jax.random.split(key, 4)
    a = act(models, batch.s, k_action, best_of=best_of, noise_std=noise_std)
    path = models.actor.path
    t = path.sample_t(k_time, batch.s.shape[:1])
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    x = alpha * a + sigma * jax.random.normal(k_forward, a.shape)
    n = jax.random.normal(k_reverse, (candidates, *a.shape))
    guess = (x - sigma * n) / alpha
    guess = guess if box is None else jnp.clip(guess, -box, box)
    q = models.critic(jnp.broadcast_to(batch.s, (candidates, *batch.s.shape)), guess).min(axis=0)
    log_w = q / temperature - jax.scipy.special.logsumexp(q / temperature, axis=0, keepdims=True)
    x, n, w = jax.lax.stop_gradient((x, n, jnp.exp(log_w)))
    return jnp.mean(jnp.sum(w[..., None] * (models.actor.eps(x, t, batch.s) - n) ** 2, axis=0)), {"w": jnp.max(w)}


def critic_loss(models, batch, key, *, discount, best_of, noise_std):
    """Each head regressed on r + gamma min_i Qbar_i(s', a'), a' an executed action. Source: q_loss_fn."""
    next_a = act(models, batch.next_s, key, best_of=best_of, noise_std=noise_std)
    next_q = models.target_critic(batch.next_s, next_a).min(axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    return sum(jnp.mean((q - target) ** 2) for q in models.critic(batch.s, batch.a)), {"target": jnp.mean(target)}


def log_temperature_loss(models, batch, key, *, noise_std, target_entropy):
    """log alpha (H - d H_target), H = d log(2 pi e (noise_std alpha)^2) / 2 the entropy of the noise, held constant.

    Source: log_alpha_loss_fn.
    """
    d = batch.a.shape[-1]
    deviation = noise_std * jnp.exp(jax.lax.stop_gradient(models.log_temperature))
    entropy = 0.5 * d * jnp.log(2.0 * jnp.pi * jnp.e * deviation**2)
    return models.log_temperature * (entropy - d * target_entropy), {"entropy": entropy}
