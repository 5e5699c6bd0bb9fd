"""DACER in typoverflow/flow-rl (bae22f4), flowrl/agent/online/dacer.py: Huber errors of mean and spread.

Left out: the source takes the drawn return of one critic for the whole batch, which it chooses by comparing the first
two items of the batch; here each item takes that of its smaller mean. Its running mean of the online spread is here the
mean of the averaged spread.
"""

from functools import reduce

import jax
import jax.numpy as jnp

from flowrl_kb.published.dacer import mixture_entropy, noised

TRAINS = {"actor": "field", "critic": "gaussian-critic", "log_temperature": "scalar"}


def diffuse(field, s, key):
    """Run the reverse diffusion from noise to one action (..., d), differentiably.

    mean = sqrt(a_u) beta / (1 - a_t) x0 + sqrt(a_t / a_u) (1 - a_u) / (1 - a_t) x, deviation sqrt(beta) but in the last
    step, beta = 1 - a_t / a_u, a the squared share of signal, x0 clipped to the box. Source: continuous_ddpm.py, ddpm.
    """
    last = field.grid.shape[0] - 2
    keys = jax.random.split(key, last + 2)
    kept = field.path.alpha(field.grid) ** 2
    x = jax.random.normal(keys[-1], (*s.shape[:-1], field.dim))

    def body(x, step):
        t, a_t, a_u, noisy, k = step
        clean = (x - jnp.sqrt(1.0 - a_t) * field.eps(x, jnp.full(x.shape[:-1], t), s)) / jnp.sqrt(a_t)
        clean = clean if field.box is None else jnp.clip(clean, -field.box, field.box)
        beta = 1.0 - a_t / a_u
        x = (jnp.sqrt(a_u) * beta * clean + jnp.sqrt(a_t / a_u) * (1.0 - a_u) * x) / (1.0 - a_t)
        return x + noisy * jnp.sqrt(beta) * jax.random.normal(k, x.shape), None

    noisy = 1.0 * (jnp.arange(last + 1) < last)
    return jax.lax.scan(body, x, (field.grid[:-1], kept[:-1], kept[1:], noisy, keys[:-1]))[0]


def executed(models, s, key, noise_std, box):
    """A diffusion sample plus noise of deviation noise_std alpha, clipped to the box. Source: jit_sample_actions."""
    k_chain, k_noise = jax.random.split(key)
    return noised(diffuse(models.actor, s, k_chain), k_noise, models.log_temperature, noise_std, box)


def actor_loss(models, batch, key, *, box=None):
    """L = -E min_i mu_i(s, a_theta), without added noise; the gradient runs through the diffusion.

    Source: actor_loss_fn.
    """
    a = diffuse(models.actor, batch.s, key)
    a = a if box is None else jnp.clip(a, -box, box)
    return -jnp.mean(reduce(jnp.minimum, models.critic(batch.s, a))), {}


def huber(error, width):
    """error^2 / 2 where |error| <= width, else width (|error| - width / 2). Source: critic_loss_fn."""
    return jnp.where(jnp.abs(error) <= width, error**2 / 2.0, width * (jnp.abs(error) - width / 2.0))


def critic_loss(
    models, batch, key, *, discount, backup_noise_std, spread_clip, spread_bias, huber_width, spread_ratio, box=None
):
    """L_i = E rho [h(mu - y) + sigma (sigma_0^2 - h(mu_0 - C(y_z))) / (sigma_0 + b)], summed over i.

    rho = clip(m^2 / (sigma_0^2 + b)) between the bounds in spread_ratio, mu_0 and sigma_0 constants, h the Huber error
    of half-width huber_width, m the mean of the spread over batch and critics; y, y_z, C and b as in dacer.py. Source:
    critic_loss_fn.
    """
    k_next, k_z = jax.random.split(key)
    a = executed(models, batch.next_s, k_next, backup_noise_std, box)
    (mu_1, mu_2), (sigma_1, sigma_2) = models.target_critic(batch.next_s, a), models.target_spread(batch.next_s, a)
    z_1, z_2 = jnp.clip(jax.random.normal(k_z, (2, *mu_1.shape)), -3.0, 3.0)
    drawn = jnp.where(mu_1 < mu_2, mu_1 + sigma_1 * z_1, mu_2 + sigma_2 * z_2)
    y, y_z = (batch.reward + discount * batch.not_done * v for v in (jnp.minimum(mu_1, mu_2), drawn))
    m = jnp.mean(models.target_spread(batch.s, batch.a))
    y, y_z, m = jax.lax.stop_gradient((y, y_z, m))
    total = 0.0
    for mu, sigma in zip(models.critic(batch.s, batch.a), models.spread(batch.s, batch.a), strict=True):
        mu_0, sigma_0 = jax.lax.stop_gradient((mu, jnp.maximum(sigma, 1e-6)))
        away = jnp.minimum(jnp.maximum(y_z - mu_0, -spread_clip * m), spread_clip * m)
        rho = jnp.minimum(jnp.maximum(m**2 / (sigma_0**2 + spread_bias), spread_ratio[0]), spread_ratio[1])
        pull = (sigma_0**2 - huber(away, huber_width)) / (sigma_0 + spread_bias)
        total = total + jnp.mean(rho * (huber(mu - y, huber_width) + sigma * pull))
    return total, {"drawn": jnp.mean(y_z)}


def log_temperature_loss(
    models, batch, key, *, target_entropy, entropy_samples, mixture_components, mixture_rounds, noise_std, box=None
):
    """L = log alpha (H - d Hbar), H the mixture entropy of `entropy_samples` executed actions, a mean over states.

    Source: jit_update_alpha; Hbar = target_entropy.
    """
    k_sample, k_fit = jax.random.split(key)
    s = jnp.broadcast_to(batch.s[:, None], (batch.s.shape[0], entropy_samples, batch.s.shape[1]))
    a, fits = executed(models, s, k_sample, noise_std, box), jax.random.split(k_fit, batch.s.shape[0])
    entropies = jax.vmap(lambda x, k: mixture_entropy(x, k, mixture_components, mixture_rounds))(a, fits)
    entropy = jax.lax.stop_gradient(jnp.mean(entropies))
    return models.log_temperature * (entropy - models.actor.dim * target_entropy), {"entropy": entropy}


def act(models, s, key, *, noise_std, box=None):
    """One diffusion sample plus Gaussian noise of deviation noise_std alpha. Source: jit_sample_actions."""
    return executed(models, s, key, noise_std, box)
