"""How a field becomes an action. Conditional axis `sampler`: one transition (mean, standard deviation) each.

The state of a chain is the action, or as many copies of it side by side as `COPIES` says.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from flowrl_kb.errors import UserError
from flowrl_kb.parts.path import coefficients
from flowrl_kb.parts.types import Array, FieldPolicy, Key

COPIES = {"coupled-euler": 2}
"""Samplers whose state holds more than one copy of the action."""


def _denoised(field: FieldPolicy, x: Array, t: Array, s: Array) -> Array:
    x0 = field.x0(x, t, s)
    return x0 if field.box is None else jnp.clip(x0, -field.box, field.box)


def ancestral(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """The Gaussian posterior of the forward chain between two levels t > u, given the denoised action.

    mean = (alpha_t sigma_u^2 / (alpha_u sigma_t^2)) x + (alpha_u v / sigma_t^2) x0,  std^2 = v sigma_u^2 / sigma_t^2,
    v = sigma_t^2 - (alpha_t / alpha_u)^2 sigma_u^2. Also called DDPM step. Source: Ho et al. 2020, eq. 6-7, for any
    Gaussian path. x (..., d), k a step index below K, s (..., ds).
    """
    t, u = jnp.broadcast_to(field.grid[k], x.shape[:-1]), field.grid[k + 1]
    x0 = _denoised(field, x, t, s)
    (alpha_t, sigma_t), (alpha_u, sigma_u) = coefficients(field.path, t), coefficients(field.path, u)
    ratio = alpha_t / alpha_u
    variance = sigma_t**2 - (ratio * sigma_u) ** 2
    mean = ratio * (sigma_u / sigma_t) ** 2 * x + alpha_u * variance / sigma_t**2 * x0
    return mean, jnp.sqrt(jnp.maximum(variance, 0.0)) * sigma_u / sigma_t


def posterior_deviation(field: FieldPolicy, t: Array) -> Array:
    """The standard deviation (..., 1) of the `ancestral` step from level t (...), which is one of the grid's."""
    u = field.grid[jnp.argmin(jnp.abs(field.grid[:-1] - t[..., None]), axis=-1) + 1]
    (alpha_t, sigma_t), (alpha_u, sigma_u) = coefficients(field.path, t), coefficients(field.path, u)
    variance = sigma_t**2 - (alpha_t / alpha_u * sigma_u) ** 2
    return jnp.sqrt(jnp.maximum(variance, 0.0)) * sigma_u / sigma_t


def all_stochastic(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """Ancestral step whose standard deviation is at least `min_std`, the last step included.

    Not to be confused with `ancestral`, whose last step has no density. Source: DPPO (2409.00588), section 4.3.
    """
    mean, std = ancestral(field, x, k, s)
    return mean, jnp.maximum(std, field.min_std)


def forward_variance(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """Ancestral mean with the variance v of the forward chain in place of the posterior's; the last step is noise-free.

    Not to be confused with `ancestral`, whose variance is the smaller v sigma_u^2 / sigma_t^2. Also called the upper
    choice of the variance, beta_t. Source: Ho et al. 2020, section 3.2.
    """
    mean, _ = ancestral(field, x, k, s)
    std, sigma_u = _forward_deviation(field, x, k)
    return mean, std * (sigma_u > 0.0)


def mean_last(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """The step of which `forward_variance` draws, as its density is computed: with noise in the last step too.

    The last step is executed at its mean (`DRAWN_BY`), though its density is that of N(mean, v); deviations of
    densities are at least `min_std`. Not to be confused with `all-stochastic`, which draws what it scores. Source:
    flow-rl (bae22f4), dppo.py.
    """
    mean, _ = ancestral(field, x, k, s)
    return mean, jnp.maximum(_forward_deviation(field, x, k)[0], field.min_std)


def _forward_deviation(field: FieldPolicy, x: Array, k: Array) -> tuple[Array, Array]:
    """sqrt(v), v the variance that the forward chain adds between two levels, and sigma of the less noisy one."""
    t, u = jnp.broadcast_to(field.grid[k], x.shape[:-1]), field.grid[k + 1]
    (alpha_t, sigma_t), (alpha_u, sigma_u) = coefficients(field.path, t), coefficients(field.path, u)
    variance = sigma_t**2 - (alpha_t / alpha_u * sigma_u) ** 2
    return jnp.sqrt(jnp.maximum(variance, 0.0)), sigma_u


def _euler_size(field: FieldPolicy, k: Array) -> Array:
    """h = log(alpha_u / alpha_t), the integral of beta from level u = grid[k + 1] to t = grid[k]."""
    return jnp.log(field.path.alpha(field.grid[k + 1]) / field.path.alpha(field.grid[k]))


def euler_maruyama(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """Euler-Maruyama step of the time reversal of da = -beta a dt + sqrt(2 beta) dW, with noise at every step.

    mean = x + h (x + 2 score(x, t)), std = sqrt(2 h), h as in `_euler_size`; for variance-preserving paths.
    Not to be confused with `forward-variance`, its exponential form, whose last step is noise-free. Source: DIME
    (2502.02316); Song et al. 2021, reverse-time SDE.
    """
    t, h = jnp.broadcast_to(field.grid[k], x.shape[:-1]), _euler_size(field, k)
    return x + h * (x + 2.0 * field.score(x, t, s)), jnp.sqrt(2.0 * h)


def noising(field: FieldPolicy, x: Array, k: Array) -> tuple[Array, Array]:
    """The step (mean, std) of the noising chain that step k of the sampler undoes, from x at level u up to t.

    N((1 - h) x, 2 h) for `euler-maruyama`, whose noising chain takes Euler-Maruyama steps too; else the path's own
    N((alpha_t / alpha_u) x, sigma_t^2 - (alpha_t / alpha_u)^2 sigma_u^2).
    """
    if field.sampler == "euler-maruyama":
        h = _euler_size(field, k)
        return (1.0 - h) * x, jnp.sqrt(2.0 * h)
    (alpha_t, sigma_t), (alpha_u, sigma_u) = (coefficients(field.path, field.grid[i]) for i in (k, k + 1))
    return alpha_t / alpha_u * x, jnp.sqrt(sigma_t**2 - (alpha_t / alpha_u * sigma_u) ** 2)


def ode(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """Euler step of the probability-flow ODE dx/dt = v(x, t); deterministic."""
    t, u = field.grid[k], field.grid[k + 1]
    step = (u - t) * field.velocity(x, jnp.broadcast_to(t, x.shape[:-1]), s)
    return x + step, jnp.zeros((*x.shape[:-1], 1), x.dtype)


def learned_noise(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """Euler step of the probability-flow ODE with noise at every step, whose deviation the policy learns.

    mean = x + (u - t) v, std = field.noise(x, t, s). Not to be confused with `flow-sde`, whose drift makes up for a
    given noise; here more noise widens the law. Source: ReinFlow (2505.22094), noise injection.
    """
    if field.noise is None:
        raise UserError("sampler=learned-noise: found a field policy without learned noise")
    return ode(field, x, k, s)[0], field.noise(x, jnp.broadcast_to(field.grid[k], x.shape[:-1]), s)


def flow_sde(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """Euler-Maruyama step of an SDE with the marginals of the probability-flow ODE, with noise at every step.

    mean = x + (u - t) v + g^2 (t - u) score / 2, std = g sqrt(t - u), g = a sqrt(sigma_t / alpha_t), a = noise_level;
    pure noise takes alpha from the next level. Not to be confused with `ode`, its limit a = 0, or `euler-maruyama`,
    whose process fixes the noise. Source: Flow-GRPO (2505.05470), ODE-to-SDE.
    """
    level, u = field.grid[k], field.grid[k + 1]
    t, h = jnp.broadcast_to(level, x.shape[:-1]), level - u
    (alpha, sigma), (alpha_u, _) = coefficients(field.path, level), coefficients(field.path, u)
    variance = field.noise_level**2 * sigma / jnp.where(alpha > 0.0, alpha, alpha_u) * h
    mean = x - h * field.velocity(x, t, s) + 0.5 * variance * field.score(x, t, s)
    return mean, jnp.sqrt(variance)


def langevin(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """Unadjusted Langevin step in the law of one noise level: mean = x + eta score(x, t) / 2, std = sqrt(eta).

    eta = min_std^2 (sigma_t / sigma_last)^2, sigma_last that of the least noisy level; states are cut to the box before
    each step. Also called annealed Langevin dynamics. Not to be confused with `euler-maruyama`, whose drift takes the
    law from one level to the next. Source: Song and Ermon 2019 (1907.05600), Algorithm 1; NC-LQL (2602.07873).
    """
    t = jnp.broadcast_to(field.grid[k], x.shape[:-1])
    sigma, last = field.path.sigma(field.grid[k]), field.path.sigma(field.grid[-2])
    std = field.min_std * sigma / last
    x = x if field.box is None else jnp.clip(x, -field.box, field.box)
    return x + 0.5 * std**2 * field.score(x, t, s), std


def coupled_euler(field: FieldPolicy, x: Array, k: Array, s: Array) -> tuple[Array, Array]:
    """Alternating Euler steps of two copies (z, y) of the action, which are then mixed; `undone` inverts the chain.

    z' = z + h v(y), y' = y + h v(z'), then z <- p z' + (1 - p) y' and y <- p y' + (1 - p) z with the new z, p = mixing.
    Deterministic. Also called exact diffusion inversion, EDICT. Source: Wallace et al. 2022 (2211.12446); GenPO
    (2505.18763). x (..., 2d).
    """
    t, h = jnp.broadcast_to(field.grid[k], x.shape[:-1]), field.grid[k + 1] - field.grid[k]
    z, y = jnp.split(x, 2, axis=-1)
    z = z + h * field.velocity(y, t, s)
    y = y + h * field.velocity(z, t, s)
    z = field.mixing * z + (1.0 - field.mixing) * y
    y = field.mixing * y + (1.0 - field.mixing) * z
    return jnp.concatenate([z, y], axis=-1), jnp.zeros((*x.shape[:-1], 1), x.dtype)


def undone(field: FieldPolicy, x: Array, s: Array) -> Array:
    """The noise (..., 2d) from which `coupled_euler` made the final state x (..., 2d)."""

    def back(state: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], None]:
        z, y = state
        t, h = jnp.broadcast_to(field.grid[k], z.shape[:-1]), field.grid[k + 1] - field.grid[k]
        y = (y - (1.0 - field.mixing) * z) / field.mixing
        z = (z - (1.0 - field.mixing) * y) / field.mixing
        y = y - h * field.velocity(z, t, s)
        return (z - h * field.velocity(y, t, s), y), None

    halves = tuple(jnp.split(x, 2, axis=-1))
    return jnp.concatenate(jax.lax.scan(back, halves, jnp.arange(field.grid.shape[0] - 1), reverse=True)[0], axis=-1)


def start(field: FieldPolicy, z: Array) -> Array:
    """Unit noise z, scaled to the first grid level where that exceeds one (variance-exploding paths).

    Langevin chains start at uniform actions in [-1, 1], or in the box: the distribution function of z, stretched.
    """
    if field.sampler == "langevin":
        return (1.0 if field.box is None else field.box) * jax.lax.erf(z / jnp.sqrt(2.0))
    return z * jnp.maximum(field.path.sigma(field.grid[0]), 1.0)


DRAWN_BY = {"mean-last": forward_variance}
"""Samplers that draw by another step than the one whose density they report."""


def run(field: FieldPolicy, x: Array, s: Array, key: Key | None) -> Array:
    """All states (K+1, ..., d) of the chain from x; `key` None keeps every step at its mean."""

    step = partial(DRAWN_BY[field.sampler], field) if field.sampler in DRAWN_BY else field.step

    def advance(x, k):
        mean, std = step(x, k, s)
        if key is not None:
            mean = mean + std * jax.random.normal(jax.random.fold_in(key, k), x.shape)
        return mean, mean

    _, states = jax.lax.scan(advance, x, jnp.arange(field.grid.shape[0] - 1))
    return jnp.concatenate([x[None], states])
