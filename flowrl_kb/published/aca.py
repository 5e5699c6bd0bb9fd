"""ACA: Actor-Critic without Actor, Ki et al. 2025 (arXiv 2509.21022)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "flat", "critic": "critic", "energy": "energy", "log_temperature": "scalar"}


def denoise(models, s, key, *, guidance_weight, box):
    """Reverse steps in which -w d_k g stands for the predicted noise, g the gradient of the energy, of length one.

    d_k^2 = b_k (1 - A_{k+1}) / (1 - A_k), the variance of the step from level k, A_k = alpha_k^2 and b_k = 1 - A_k /
    A_{k+1}; x0 = (x + w d_k sigma_k g) / alpha_k is cut to the box. Source: official network/aca.py, where the two
    noisy heads are summed before they are differentiated. s (..., ds); returns (..., d).
    """
    base = models.actor
    k_start, k_noise = jax.random.split(key)
    x = jax.random.normal(k_start, (*s.shape[:-1], base.dim))
    kept = base.path.alpha(base.grid) ** 2

    def move(x, step):
        t, now, ahead, k = step
        beta = 1.0 - now / ahead
        deviation = jnp.sqrt(beta * (1.0 - ahead) / (1.0 - now))
        levels = jnp.full(x.shape[:-1], t)
        g = jax.grad(lambda y: models.energy(y, levels, s).sum())(x)
        g = g / (jnp.sqrt(jnp.sum(g**2, axis=-1, keepdims=True)) + 1e-8)
        clean = (x + guidance_weight * deviation * jnp.sqrt(1.0 - now) * g) / jnp.sqrt(now)
        clean = clean if box is None else jnp.clip(clean, -box, box)
        mean = (jnp.sqrt(ahead) * beta * clean + jnp.sqrt(now / ahead) * (1.0 - ahead) * x) / (1.0 - now)
        return mean + deviation * jax.random.normal(k, x.shape), None

    keys = jax.random.split(k_noise, len(kept) - 1)
    x, _ = jax.lax.scan(move, x, (base.grid[:-1], kept[:-1], kept[1:], keys))
    return x if box is None else jnp.clip(x, -box, box)


def act(models, s, key, *, best_of, guidance_weight, noise_std, box=None):
    """The best of `best_of` denoised actions by the smaller head, plus noise of deviation noise_std alpha.

    Source: official get_action. s (B, ds).
    """
    k_chains, k_noise = jax.random.split(key)
    sample = lambda k: denoise(models, s, k, guidance_weight=guidance_weight, box=box)  # noqa: E731
    a = jax.vmap(sample)(jax.random.split(k_chains, best_of))
    q = jnp.min(models.critic(s, a), axis=0)
    chosen = a[jnp.argmax(q, axis=0), jnp.arange(s.shape[0])]
    return chosen + noise_std * jnp.exp(models.log_temperature) * jax.random.normal(k_noise, chosen.shape)


def critic_loss(models, batch, key, *, discount, best_of, guidance_weight, noise_std, box=None):
    """Double-Q regression on r + gamma min_i Qbar_i(s', a'), a' the executed action, its noise included.

    Source: official algorithm/aca.py, q_td_loss_fn, whose next action is not cut to the box. batch.s (B, ds).
    """
    rule = {"best_of": best_of, "guidance_weight": guidance_weight, "noise_std": noise_std, "box": box}
    next_a = act(models, batch.next_s, key, **rule)
    next_a = next_a if box is None else jnp.clip(next_a, -box, box)
    bootstrap = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    y = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * bootstrap)
    return sum(jnp.mean((q - y) ** 2) for q in models.critic(batch.s, batch.a)), {"target": jnp.mean(y)}


def energy_loss(models, batch, key, *, temperature):
    """E (E(a_t, t, s) - mean_i Q_i(s, a) / lambda)^2 on noised replay actions, lambda = temperature.

    In the official code noisy values are heads of the critic's own network. Source: official q_t_loss_fn.
    """
    k_time, k_noise = jax.random.split(key)
    path = models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    z = jax.random.normal(k_noise, batch.a.shape)
    noisy = path.alpha(t)[:, None] * batch.a + path.sigma(t)[:, None] * z
    heads = models.critic(batch.s, batch.a)
    clean = jax.lax.stop_gradient(sum(heads) / (len(heads) * temperature))
    return jnp.mean((models.energy(noisy, t, batch.s) - clean) ** 2), {"clean": jnp.mean(clean)}


def log_temperature_loss(models, batch, key, *, noise_std, target_entropy):
    """L = log alpha (H(noise) - d target_entropy), H(noise) = (d / 2) log(2 pi e noise_std^2 alpha^2).

    The entropy is that of the noise alone, so that the scalar moves in the same way whatever is learned. Source:
    official log_alpha_loss_fn.
    """
    d, alpha = models.actor.dim, jnp.exp(jax.lax.stop_gradient(models.log_temperature))
    entropy = 0.5 * d * jnp.log(2.0 * jnp.pi * jnp.e * (noise_std * alpha) ** 2)
    return models.log_temperature * (entropy - d * target_entropy), {"entropy": entropy}


generate = act
