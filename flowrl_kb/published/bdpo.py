"""BDPO: Behavior-Regularized Diffusion Policy Optimization for Offline Reinforcement Learning, Gao et al. 2025
(arXiv 2502.04778)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "behaviour": "field", "critic": "critic", "step_critic": "step-critic"}


def schedule(field):
    """Per step n = 1..N (index 0 unused): beta_n and the products abar_n of 1 - beta, with abar_0 = 1, and the levels.

    Step n leaves grid[N - n] for grid[N - n + 1]. Arrays (N + 1,).
    """
    levels = field.grid[::-1]
    signal = field.path.alpha(levels) ** 2
    abar = signal / (signal + field.path.sigma(levels) ** 2)
    beta = jnp.concatenate([jnp.zeros(1), 1.0 - abar[1:] / abar[:-1]])
    return levels, beta, abar


def reverse(field, x, n, s):
    """Mean of the reverse kernel p(x_{n-1} | x_n) and the predicted noise, both (..., d); n (...,) counts from 1.

    mu = [sqrt(abar_{n-1}) beta_n a0 + sqrt(1 - beta_n) (1 - abar_{n-1}) x] / (1 - abar_n). Source: Ho et al. 2020.
    """
    levels, beta, abar = schedule(field)
    b, now, before = beta[n][..., None], abar[n][..., None], abar[n - 1][..., None]
    noise = field.eps(x, levels[n], s)
    a0 = (x - jnp.sqrt(1.0 - now) * noise) / jnp.sqrt(now)
    if field.box is not None:
        a0 = jnp.clip(a0, -field.box, field.box)
    mean = (jnp.sqrt(before) * b * a0 + jnp.sqrt(1.0 - b) * (1.0 - before) * x) / (1.0 - now)
    return mean, noise


def penalty(field, noise, behaviour_noise, n):
    """KL of two reverse kernels of variance beta_n: beta_n |eps - eps_b|^2 / [2 (1 - beta_n) (1 - abar_n)], (...,)."""
    _, beta, abar = schedule(field)
    weight = beta[n] / (2.0 * (1.0 - beta[n]) * (1.0 - abar[n]))
    return weight * jnp.sum((noise - behaviour_noise) ** 2, axis=-1)


def roll(field, behaviour, s, key):
    """One chain for each state: its action (..., d) and the sum of its penalties (...,)."""
    levels, beta, _ = schedule(field)
    k_start, key = jax.random.split(key)
    x = jax.random.normal(k_start, (*s.shape[:-1], field.dim))
    total = jnp.zeros(s.shape[:-1])
    for step in range(len(levels) - 1, 0, -1):
        n = jnp.full(s.shape[:-1], step)
        mean, noise = reverse(field, x, n, s)
        total = total + penalty(field, noise, behaviour.eps(x, levels[n], s), n)
        key, k_noise = jax.random.split(key)
        x = mean + (step > 1) * jnp.sqrt(beta[step]) * jax.random.normal(k_noise, x.shape)
    return x, total


def spread(heads):
    """Standard deviation over heads (H, ...), with gradient zero where they agree; that of the library is NaN there."""
    variance = jnp.var(heads, axis=0)
    apart = variance > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, variance, 1.0)), 0.0)


def one_step(field, models, batch, key, step_samples, pessimism):
    """A data action noised to x_n, n ~ U{1..N}, and the value and the KL of one step of `field`.

    Returns x_n (B, d), n (B,), the lower bound mean_h - rho std_h of the heads' averages over draws of x_{n-1}, and KL.
    """
    k_n, k_forward, k_reverse = jax.random.split(key, 3)
    levels, beta, abar = schedule(field)
    n = 1 + jnp.int32((len(levels) - 1) * jax.random.uniform(k_n, batch.a.shape[:1]))
    now = abar[n][:, None]
    x = jnp.sqrt(now) * batch.a + jnp.sqrt(1.0 - now) * jax.random.normal(k_forward, batch.a.shape)
    mean, noise = reverse(field, x, n, batch.s)
    xi = jax.random.normal(k_reverse, (step_samples, *batch.a.shape))
    after = mean + jnp.where(n > 1, jnp.sqrt(beta[n]), 0.0)[:, None] * xi
    s, level = (jnp.broadcast_to(v, (step_samples, *v.shape)) for v in (batch.s, levels[n - 1]))
    heads = jnp.where(n > 1, models.target_step_critic(s, after, level), models.target_critic(s, after))
    each = jnp.mean(heads, axis=1)
    bound = jnp.mean(each, axis=0) - pessimism * spread(each)
    return x, n, bound, penalty(field, noise, models.behaviour.eps(x, levels[n], batch.s), n)


def behaviour_loss(models, batch, key):
    """Denoising loss of the behaviour model: E |eps_b(x_t, t, s) - eps|^2 / d. Source: flow-rl, jit_update_ddpm."""
    k_time, k_noise = jax.random.split(key)
    field = models.behaviour
    t = field.path.sample_t(k_time, batch.a.shape[:1])
    eps = jax.random.normal(k_noise, batch.a.shape)
    x = field.path.alpha(t)[:, None] * batch.a + field.path.sigma(t)[:, None] * eps
    return jnp.mean((field.eps(x, t, batch.s) - eps) ** 2), {}


def actor_loss(models, batch, key, *, temperature, pessimism, step_samples):
    """One reverse step towards larger values of the next state, against the KL to the behaviour model's step.

    L = -E[V_{n-1}(s, x_{n-1}) - eta KL_n], V_0 = Q, gradients through x_{n-1} and KL_n alone. Source: flow-rl
    jit_update_actor, by the first author. temperature = eta, pessimism = rho.
    """
    _, _, value, kl = one_step(models.actor, models, batch, key, step_samples, pessimism)
    return -jnp.mean(value - temperature * kl), {"kl": jnp.mean(kl)}


def step_critic_loss(models, batch, key, *, temperature, pessimism, step_samples):
    """Regression of V_n(s, x_n) on V_{n-1}(s, x_{n-1}) - eta KL_n under the averaged actor, V_0 = Q.

    Source: flow-rl jit_update_critic, vt_loss_fn.
    """
    field = models.target_actor
    x, n, value, kl = one_step(field, models, batch, key, step_samples, pessimism)
    target = jax.lax.stop_gradient(value - temperature * kl)
    return jnp.mean((models.step_critic(batch.s, x, schedule(field)[0][n]) - target) ** 2), {}


def critic_loss(models, batch, key, *, temperature, pessimism, backup_of, discount):
    """Regression of Q on r + gamma (1 - d) [lower bound of Q(s', a') - eta sum_n KL_n], both averaged over N chains.

    Source: flow-rl jit_update_critic, q0_loss_fn, with maxQ off.
    """
    s = jnp.broadcast_to(batch.next_s, (backup_of, *batch.next_s.shape))
    next_a, kl = roll(models.target_actor, models.behaviour, s, key)
    each = jnp.mean(models.target_critic(s, next_a), axis=1)
    value = jnp.mean(each, axis=0) - pessimism * jnp.std(each, axis=0) - temperature * jnp.mean(kl, axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * value)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {}


def act(models, s, key, *, best_of):
    """The best of N samples of the averaged actor by the mean target Q. Source: flow-rl sample_actions."""
    repeated = jnp.broadcast_to(s, (best_of, *s.shape))
    a, _ = roll(models.target_actor, models.target_actor, repeated, key)
    best = jnp.argmax(jnp.mean(models.target_critic(repeated, a), axis=0), axis=0)
    return jnp.take_along_axis(a, best[None, ..., None], axis=0)[0]
