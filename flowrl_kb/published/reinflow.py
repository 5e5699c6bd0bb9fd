"""ReinFlow: Fine-tuning Flow Matching Policy with Online RL, Zhang et al. 2025 (arXiv 2505.22094)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "noisy-field", "value": "value"}


def kernel(field, x, k, s):
    """Mean x + v dt and learned standard deviation sigma(x, t, s) of step k from x (B, d).

    Source: noise injection; official model/flow/ft_ppo/ppoflow.py, get_logprobs. The paper's time runs from noise to
    data, so its v is minus the field's velocity.
    """
    t = jnp.full(x.shape[:-1], field.grid[k])
    dt = field.grid[k] - field.grid[k + 1]
    return x + dt * -field.velocity(x, t, s), field.noise(x, t, s)


def joint(field, chain, s):
    """log pi(x_0, ..., x_K | s) (B,) of the chain (K+1, B, d), and its entropy for each variable and dimension (B,).

    log N(x_0; 0, I) + sum_k log N(x_{k+1}; x_k + v dt, sigma^2); (H[x_0] + sum_k H[x_{k+1} | x_k]) / (K + 1) d.
    Source: policy gradient of the noise-injected process; official get_logprobs, entropy_rate_est.
    """
    log_two_pi, dim, steps = jnp.log(2.0 * jnp.pi), chain.shape[-1], chain.shape[0] - 1
    log_p = jnp.sum(-0.5 * chain[0] ** 2 - 0.5 * log_two_pi, axis=-1)
    entropy = 0.5 * dim * (1.0 + log_two_pi)
    for k in range(steps):
        mean, std = kernel(field, chain[k], k, s)
        log_p = log_p + jnp.sum(-0.5 * ((chain[k + 1] - mean) / std) ** 2 - jnp.log(std) - 0.5 * log_two_pi, axis=-1)
        entropy = entropy + jnp.sum(0.5 * (1.0 + log_two_pi) + jnp.log(std), axis=-1)
    return log_p, entropy / ((steps + 1) * dim)


def actor_loss(models, batch, key, *, clip, entropy_weight):
    """PPO with one ratio of joint densities for each chain, minus the entropy of the chain.

    L = mean max(-A rho, -A clip(rho, 1 +- eps)) - alpha mean h, rho = pi_theta(x_{0:K} | s) / pi_old(x_{0:K} | s); the
    noise is trained with the velocity. Source: policy gradient and entropy regularisation; official PPOFlow.loss.
    batch.chain (K+1, B, d) drawn by models.old; batch.advantage (B,).
    """
    new, entropy = joint(models.actor, batch.chain, batch.s)
    old, _ = joint(models.old, batch.chain, batch.s)
    ratio = jnp.exp(new - jax.lax.stop_gradient(old))
    first = -batch.advantage * ratio
    second = -batch.advantage * jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    loss = jnp.mean(jnp.maximum(first, second)) - entropy_weight * jnp.mean(entropy)
    return loss, {"entropy": jnp.mean(entropy), "clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip)}


def value_loss(models, batch, key, *, value_weight):
    """c_V mean (V(s) - R)^2, not clipped. Source: official PPOFlow.loss."""
    return value_weight * jnp.mean((models.value(batch.s) - batch.returns) ** 2), {}


def act(models, s, key):
    """One sample of the noisy chain, as in training."""
    field = models.actor
    key, k_start = jax.random.split(key)
    x = jax.random.normal(k_start, (*s.shape[:-1], field.dim))
    for k in range(field.grid.shape[0] - 1):
        key, k_noise = jax.random.split(key)
        mean, std = kernel(field, x, k, s)
        x = mean + std * jax.random.normal(k_noise, x.shape)
    return x if field.box is None else jnp.clip(x, -field.box, field.box)
