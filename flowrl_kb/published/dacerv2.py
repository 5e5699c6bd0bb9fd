"""DACERv2: Enhanced DACER Algorithm with High Diffusion Efficiency, Wang et al. 2025 (arXiv 2505.23426).

The paper keeps DACER's critic, acting noise and temperature, which are borrowed from there. Its actor loss is that of a
public review of the paper; what was left open there is marked in the card.
"""

from functools import reduce

import jax
import jax.numpy as jnp

from flowrl_kb.published.dacer import TRAINS, act, critic_loss, log_temperature_loss, noised

__all__ = ["TRAINS", "act", "actor_loss", "critic_loss", "log_temperature_loss"]


def actor_loss(models, batch, key, *, bc_weight, pull_rate, pull_shift, actor_noise_std, box=None):
    """L = -E min_i Q_i(s, a) + eta E_k |S_theta(a_k) - w_k g_k / |g_k||^2, g_k = grad min_i Q_i(s, a_k).

    S = -eps_theta / sigma is the score at the state a_k of the denoising chain, k steps before its end, w_k = exp(r k +
    c). States and pull are constants; the first term runs through the whole chain and DACER's added noise. bc_weight =
    eta, pull_rate = r, pull_shift = c. Source: L_pi = L_q + eta L_g of a public review of 2505.23426.
    """
    k_start, k_steps, k_noise = jax.random.split(key, 3)
    field = models.actor
    alpha, sigma = field.path.alpha(field.grid), field.path.sigma(field.grid)
    steps = field.grid.shape[0] - 1
    keys = jax.random.split(k_steps, steps)

    def lower_q(a, s):
        return reduce(jnp.minimum, models.critic(s, a))

    x, pulled = jax.random.normal(k_start, batch.a.shape), 0.0
    for i in range(steps):
        held = jax.lax.stop_gradient(x)
        g = jax.vmap(jax.grad(lower_q))(held, batch.s)
        length = jnp.sqrt(jnp.sum(g**2, axis=-1, keepdims=True))
        wanted = jax.lax.stop_gradient(jnp.exp(pull_rate * (steps - i) + pull_shift) * g / (length + 1e-8))
        t = jnp.full(x.shape[:-1], field.grid[i])
        own = -field.eps(held, t, batch.s) / sigma[i]
        pulled = pulled + jnp.mean(jnp.sum((own - wanted) ** 2, axis=-1)) / steps

        clean = (x - sigma[i] * field.eps(x, t, batch.s)) / alpha[i]
        clean = clean if box is None else jnp.clip(clean, -box, box)
        step = alpha[i] / alpha[i + 1]
        left = step * (sigma[i + 1] / sigma[i]) ** 2
        drawn = sigma[i + 1] * jnp.sqrt(jnp.maximum(1.0 - step * left, 0.0))
        x = alpha[i + 1] * (1.0 - step * left) * clean + left * x
        x = x + drawn * jax.random.normal(keys[i], x.shape)
    a = noised(x, k_noise, models.log_temperature, actor_noise_std, box)
    return bc_weight * pulled - jnp.mean(lower_q(a, batch.s)), {"pull": pulled}
