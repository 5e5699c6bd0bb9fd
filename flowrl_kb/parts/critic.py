"""What the value means. Mechanism axis `critic`: each function returns the losses of the value objects it trains.

`backup` values the next state; `regress` (axis `critic-output`) fits the heads to r + gamma backup.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from flowrl_kb.parts.backup import Next
from flowrl_kb.parts.backup_policy import Drawn
from flowrl_kb.parts.likelihood import closed_form
from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.path import forward as noised
from flowrl_kb.parts.reference import Reference
from flowrl_kb.parts.step import kernel_divergence
from flowrl_kb.parts.types import Array, Batch, FieldPolicy, Key, Loss, Models

Backup = Callable[[Models, Batch, Key], Array]
Regress = Callable[[Models, Batch, Backup, Key], tuple[Array, dict]]


def q_pi(backup: Backup, regress: Regress) -> dict[str, Loss]:
    """Expected return of the policy: Q <- r + gamma backup(s')."""
    return {"critic": lambda models, batch, key: regress(models, batch, backup, key)}


def q_soft(
    backup: Backup, regress: Regress, *, following: Next, path_penalty=None, sampled=closed_form, backup_of=1
) -> dict[str, Loss]:
    """Return plus entropy: Q <- r + gamma (Qbar(s', a') - lambda log pi(a'|s')), lambda the trained temperature.

    `sampled(policy, key, s)` draws a' with what stands for its log-density (axis `likelihood`).

    With `path_penalty` (space=path) the bonus is that penalty, averaged over the N chains that end at the next actions:
    Q <- r + gamma (backup(s') - lambda sum_k KL_k). Source: BDPO (2502.04778).
    """

    def penalised(models: Models, batch: Batch, key: Key) -> Array:
        k_chain, k_backup = jax.random.split(key)
        policy = following.policy(models)
        chain = policy.chain(k_chain, batch.next_s, (backup_of,))
        ends = following._replace(policy=lambda _: Drawn(policy.executed(chain[-1])))
        return backup(models, batch, k_backup, following=ends) - path_penalty(policy, models, batch.next_s, chain)

    def soft(models: Models, batch: Batch, key: Key) -> Array:
        a, log_prob = sampled(following.policy(models), key, batch.next_s)
        bonus = -jnp.exp(models.log_temperature) * log_prob
        return following.over_heads(models.target_critic(batch.next_s, a)) + bonus

    of_next = penalised if path_penalty else soft
    return {"critic": lambda models, batch, key: regress(models, batch, of_next, key)}


def step_values(*, following: Next, take, value, reference: Reference, temperature) -> dict[str, Loss]:
    """V(s, x_k) <- over heads of E V(s, x_k+1) - lambda KL_k, one step of the backup policy from x_k.

    Behind the last step Q stands for V. `take` and `value` make and value the step. Source: BDPO (2502.04778).
    """

    def loss(models: Models, batch: Batch, key: Key):
        field: Any = following.policy(models)
        step = take(field, models, batch, key)
        ahead = following.over_heads(jnp.mean(value(models, step, batch.s), axis=1))
        penalty = kernel_divergence(field, reference.field(models), step.x, step.k, batch.s)[0]
        target = jax.lax.stop_gradient(ahead - temperature * penalty)
        heads = models.step_critic(batch.s, step.x[0], field.grid[step.k[0]])
        return jnp.mean(jnp.square(heads - target), axis=-1).sum(), {"step_value": jnp.mean(heads)}

    return {"step_critic": loss}


def denoising_log_prob(field: FieldPolicy, a: Array, s: Array, key: Key, noises: int) -> Array:
    """log pi(a|s) = -(d/2) log 2 pi e + (1/2) int [d - E|eps_theta - eps|^2 / r] dr / (1 - r), by sums over the grid.

    r = alpha^2 / (alpha^2 + sigma^2); each interval is read at its noisier end, E over `noises` draws. a (B, d).
    Source: the relation of mutual information and minimum mean square error, pointwise; MaxEntDP (2502.11612).
    """
    alpha, sigma = coefficients(field.path, field.grid)
    r = (alpha**2 / (alpha**2 + sigma**2))[:, 0]
    weight = (r[1:] - r[:-1]) / (2.0 * r[:-1] * (1.0 - r[:-1]))
    eps = jax.random.normal(key, (noises, len(weight), *a.shape))
    t = jnp.broadcast_to(field.grid[:-1, None], eps.shape[:-1])
    x = noised(field.path, a, t, eps)
    a0 = field.x0(x, t, s)
    a0 = a0 if field.box is None else jnp.clip(a0, -field.box, field.box)
    predicted = (x - alpha[:-1, None] * a0) / sigma[:-1, None]
    error = jnp.mean(jnp.sum(jnp.square(predicted - eps), axis=-1), axis=0)
    d = a.shape[-1]
    return weight @ (r[:-1, None] * d - error) - 0.5 * d * jnp.log(2.0 * jnp.pi * jnp.e)


def q_soft_integral(
    backup: Backup, regress: Regress, *, following: Next, temperature, density_noises
) -> dict[str, Loss]:
    """Return plus entropy of a field policy, the log-density an integral of its denoising errors."""

    def soft(models: Models, batch: Batch, key: Key) -> Array:
        k_sample, k_density = jax.random.split(key)
        policy = following.policy(models)
        a = policy.sample(k_sample, batch.next_s)
        log_prob = denoising_log_prob(policy, a, batch.next_s, k_density, density_noises)
        return following.over_heads(models.target_critic(batch.next_s, a)) - temperature * log_prob

    return {"critic": lambda models, batch, key: regress(models, batch, soft, key)}


def _of_data(penalty: Callable[[Array], Array], regress: Regress, value_critic: str = "target") -> dict[str, Loss]:
    """A state value that minimises a convex penalty of Q - V at data actions, and a critic that bootstraps from it."""

    def value(models: Models, batch: Batch, key: Key):
        critic: Any = models.target_critic if value_critic == "target" else models.critic
        excess = jnp.min(critic(batch.s, batch.a), axis=0) - models.value(batch.s)
        return jnp.mean(penalty(excess)), {}

    def of_state(models: Models, batch: Batch, key: Key) -> Array:
        return models.value(batch.next_s)

    return {"value": value, "critic": lambda models, batch, key: regress(models, batch, of_state, key)}


def in_sample(backup: Backup | None, regress: Regress, *, expectile, value_critic="target") -> dict[str, Loss]:
    """Expectile value of data actions: penalty |tau - 1[u < 0]| u^2. Source: IQL (2110.06169), eq. 5-6."""
    return _of_data(lambda u: jnp.abs(expectile - (u < 0)) * jnp.square(u), regress, value_critic)


def in_sample_linear(
    backup: Backup | None, regress: Regress, *, temperature, value_temperature=None
) -> dict[str, Loss]:
    """The c of the linear operator: penalty (1 + u / lambda)_+^2 - 2 u / lambda, so that E (1 + u / lambda)_+ = 1.

    lambda is `value_temperature`, or the actor's where none is given. Source: SQL (2303.15810), lambda = 2 alpha.
    """
    scale = temperature if value_temperature is None else value_temperature
    return _of_data(lambda u: jnp.square(jax.nn.relu(1.0 + u / scale)) - 2.0 * u / scale, regress)


def in_sample_exponential(
    backup: Backup | None, regress: Regress, *, temperature, value_temperature=None
) -> dict[str, Loss]:
    """lambda log E exp(Q / lambda): penalty exp(u / lambda) - u / lambda, so that E exp(u / lambda) = 1.

    lambda as in `in_sample_linear`. Source: EQL (2303.15810), lambda = alpha.
    """
    scale = temperature if value_temperature is None else value_temperature
    return _of_data(lambda u: jnp.exp(u / scale) - u / scale, regress)


def in_sample_soft_chi_square(
    backup: Backup | None, regress: Regress, *, temperature, value_temperature=None
) -> dict[str, Loss]:
    """The V of `energy_weight.soft_chi_square`: penalty f*(u / lambda) - u / lambda, so that the weights average one.

    f*(y) = y^2 / 4 + y for y >= 0, e^y - 1 below; lambda as in `in_sample_linear`. Source: Diffusion-DICE
    (2407.20109), piecewise f-divergence.
    """
    scale = temperature if value_temperature is None else value_temperature

    def penalty(u: Array) -> Array:
        y = u / scale
        return jnp.where(y >= 0.0, jnp.square(y) / 4.0 + y, jnp.expm1(jnp.minimum(y, 0.0))) - y

    return _of_data(penalty, regress)


def planned(backup: Backup, regress: Regress, *, discount) -> dict[str, Loss]:
    """In-sample planning: Q <- max(G, r + gamma backup(s')), G = batch.returns the return of the data's continuation.

    The data loop stores G_n = r_n + gamma R_(n+1), R the planned return of the next pair. Source: SfBC (2209.14548).
    """

    def critic(models: Models, batch: Batch, key: Key):
        k_backup, k_regress = jax.random.split(key)
        bootstrapped = batch.reward + discount * batch.not_done * backup(models, batch, k_backup)
        best = batch._replace(reward=jnp.maximum(batch.returns, bootstrapped), not_done=jnp.zeros_like(batch.not_done))
        return regress(models, best, lambda *_: jnp.zeros_like(best.reward), k_regress)

    return {"critic": critic}


def advantage(backup: Backup | None, regress: Regress | None, *, value_weight=0.5, value_clip=None) -> dict[str, Loss]:
    """A state value regressed on the returns of roll-outs; advantages of fresh ones are made by the roll-out loop.

    With `value_clip` = c the error is max{(V - R)^2, (V_old + clip(V - V_old, -c, c) - R)^2}, V_old the value at the
    roll-out (`models.target_value`). Source: wadx2019/genpo (d7d8f72), flowppo.py; flow-rl (bae22f4), ppo.py.
    """

    def value(models: Models, batch: Batch, key: Key):
        v = models.value(batch.s)
        error = jnp.square(v - batch.returns)
        if value_clip is not None:
            before = jax.lax.stop_gradient(models.target_value(batch.s))
            near = before + jnp.clip(v - before, -value_clip, value_clip)
            error = jnp.maximum(error, jnp.square(near - batch.returns))
        return value_weight * jnp.mean(error), {}

    return {"value": value}
