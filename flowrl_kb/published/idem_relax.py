"""iDEM in mahaitongdae/diffusion_policy_online_rl (a50cf41), relax/algorithm/idem.py: what is noised and what the
Bellman target reads is what would be executed; both critics of the estimate are online."""

from functools import reduce

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic", "log_temperature": "scalar"}


def act(models, s, key, *, best_of, noise_std):
    """The best of `best_of` policy samples by the smaller online head, plus noise of deviation noise_std e^(log alpha).

    Source: relax/network/diffv2.py, get_action, which cuts samples at the box and the noisy action not.
    """
    k_best, k_noise = jax.random.split(key)
    samples = jax.vmap(lambda k: models.actor.sample(k, s))(jax.random.split(k_best, best_of))
    scores = reduce(jnp.minimum, models.critic(jnp.broadcast_to(s, (best_of, *s.shape)), samples))
    best = jnp.sum(samples * jax.nn.one_hot(jnp.argmax(scores, axis=0), best_of, axis=0)[..., None], axis=0)
    return best + noise_std * jnp.exp(models.log_temperature) * jax.random.normal(k_noise, best.shape)


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


def critic_loss(models, batch, key, *, discount, best_of, noise_std):
    """Each head regressed on r + gamma min_i Qbar_i(s', a'), a' an executed action. Source: q_loss_fn."""
    following = act(models, batch.next_s, key, best_of=best_of, noise_std=noise_std)
    q_next = reduce(jnp.minimum, models.target_critic(batch.next_s, following))
    y = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * q_next)
    return jnp.sum(jnp.mean(jnp.square(models.critic(batch.s, batch.a) - y), axis=1)), {"target": jnp.mean(y)}


def log_temperature_loss(models, batch, key, *, noise_std, target_entropy):
    """log alpha (H - d H_target), H = d log(2 pi e (noise_std alpha)^2) / 2 the entropy of the noise, held constant.

    Source: log_alpha_loss_fn.
    """
    d, log_alpha = batch.a.shape[-1], models.log_temperature
    entropy = d * (0.5 * jnp.log(2.0 * jnp.pi * jnp.e) + jnp.log(noise_std) + jax.lax.stop_gradient(log_alpha))
    return log_alpha * (entropy - d * target_entropy), {"entropy": entropy}
