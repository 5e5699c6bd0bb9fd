"""What losses that follow chains should end at: latent values, step values, contrastive energies, values of roll-outs.

They share no code with the losses: the steps of a chain are written out here, averages over noises are Gauss-Hermite
sums, sums over a grid or means of fixed draws. Values of roll-outs alone are averages over the policy that draws the
laboratory's batches, whose sampler is a part, because those roll-outs are what their loss is fitted to.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import presentation
from flowrl_kb.certify.exact import hermite
from flowrl_kb.certify.laboratory import Mixture, Scenario
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.parts.types import Array, Path

REACH, SPACING = 4.0, 0.04
"""Half-width and spacing of the grid of noises of one dimension. Where a flow parts two modes it stretches; the images
of a grid as fine as two dimensions allow are so far apart there that energies are wrong by 7 % (here .1 %)."""
ROLLOUTS, SETS = 256, 16
"""Roll-outs behind the value of a state; sets of steps behind the expected disagreement of two averages. Every state
has draws of its own, so that errors average out over the states of a batch."""
SMOOTH = 8
"""Gauss-Hermite nodes in each dimension for averages of the mean of heads, which has no kink."""


def flowed(mixture: Mixture, path: Path, grid: Array, z: Array, s: Array) -> Array:
    """The action that Euler steps of dx/dt = alpha' E[a | x] + sigma' E[eps | x] make of noise z along the grid.

    Paths whose noise exceeds one start at z times the largest.
    """
    eps, x = lab.exact_eps(mixture, path), z * jnp.maximum(path.sigma(grid[0]), 1.0)

    def forward(x: Array, ends: tuple[Array, Array]) -> tuple[Array, None]:
        t, u = ends
        (alpha, d_alpha), (sigma, d_sigma) = (jax.jvp(c, (t,), (jnp.ones_like(t),)) for c in (path.alpha, path.sigma))
        noise = eps(x, jnp.broadcast_to(t, x.shape[:-1]), s)
        return x + (u - t) * (d_alpha * (x - sigma * noise) / alpha + d_sigma * noise), None

    return jax.lax.scan(forward, x, (grid[:-1], grid[1:]))[0]


def latent_value(critic: str, grid: Array, scene: Scenario, path: Path) -> Callable[[Array, Array, Array], Array]:
    """Q_h(s, G(w, s)), G the frozen flow of the data: heads (H, ...) of noise w, the same at every level."""
    heads, law = lab.q_heads(getattr(scene, critic)), lab.law(scene, "behaviour")
    return lambda s, w, t: heads(s, flowed(law, path, grid, w, s))


def step_value(
    temperature: float, pessimism: float, samples: int, grid: Array, scene: Scenario, path: Path
) -> Callable[[Array, Array, Array], Array]:
    """V(s, x, t): E[mean_h V_h(s, x') - rho |V_1 - V_2| / 2] - lambda KL, x' one step of the averaged policy from x.

    V_h are averages over `samples` draws of x' of the averaged step critic, or Q at the action behind the last step; KL
    is that of the step from the data's, both of the forward chain's variance. Both heads have this value.
    """
    eps, of_data = (lab.exact_eps(lab.law(scene, name), path) for name in ("averaged", "behaviour"))
    of_step, of_action = lab.step_heads(scene.target_critic, path), lab.q_heads(scene.target_critic)

    def value(s: Array, x: Array, t: Array) -> Array:
        t = jnp.broadcast_to(t, x.shape[:-1])
        k = jnp.argmin(jnp.abs(grid[:-1] - t[..., None]), axis=-1)
        u, last = grid[k + 1], (k + 2 == grid.shape[0])[..., None]
        (alpha, sigma), (alpha_u, sigma_u) = ((path.alpha(v)[..., None], path.sigma(v)[..., None]) for v in (t, u))
        noise, v = eps(x, t, s), sigma**2 - (alpha / alpha_u * sigma_u) ** 2
        mean = alpha / alpha_u * (sigma_u / sigma) ** 2 * x + alpha_u * v / sigma**2 * (x - sigma * noise) / alpha
        std = jnp.where(last, 0.0, jnp.sqrt(v))
        penalty = 0.5 * jnp.sum(v * (alpha_u / (alpha * sigma) * (noise - of_data(x, t, s))) ** 2, axis=-1)

        def heads(noises: Array) -> Array:
            """(H, ..., n) at noises (n, d) or (..., n, d)."""
            at, here = mean[..., None, :] + std[..., None, :] * noises, s[..., None, :]
            level = jnp.broadcast_to(u[..., None], at.shape[:-1])
            return jnp.where(last, of_action(here, at), of_step(here, at, level))

        nodes, log_weight = hermite(x.shape[-1], SMOOTH)
        ahead = jnp.mean(heads(nodes), axis=0) @ jnp.exp(log_weight)
        draws = jax.random.normal(jax.random.key(0), (*x.shape[:-1], SETS * samples, x.shape[-1]))
        apart = jnp.subtract(*heads(draws)).reshape(*x.shape[:-1], SETS, samples)
        disagreement = jnp.mean(jnp.abs(jnp.mean(apart, axis=-1)), axis=-1) / 2.0
        return jnp.broadcast_to(ahead - pessimism * disagreement - temperature * penalty, (2, *x.shape[:-1]))

    return value


def contrastive_energy(
    temperature: float, critic: str, grid: Array, scene: Scenario, path: Path
) -> Callable[[Array, Array, Array], Array]:
    """log E[exp(min_h Q_h(s, a) / lambda) | x] under actions a of the current policy's flow, noised to x; d = 1.

    The loss reads differences at one level and state alone, so that it rests here plus any function of the two; and
    only for infinitely many actions, because the weights of finitely many are divided by their own sum.
    """
    heads, law = lab.q_heads(getattr(scene, critic)), lab.law(scene, "current")
    z = np.arange(-REACH, REACH + SPACING / 2.0, SPACING, dtype=np.float32)[:, None]
    weight = np.exp(-0.5 * z[:, 0] ** 2)

    def energy(x: Array, t: Array, s: Array) -> Array:
        """x (B, 1), or (B, K, 1) where the K actions of a state share its context."""
        t, s = jnp.broadcast_to(t, x.shape[:-1]), s if x.ndim == 2 else s[:, :1]
        a = flowed(law, path, grid, jnp.broadcast_to(z, (*s.shape[:-1], *z.shape)), s[..., None, :])
        tilt = weight * jnp.exp(jnp.min(heads(s[..., None, :], a), axis=0) / temperature)
        alpha, sigma = path.alpha(t)[..., None], path.sigma(t)[..., None]
        likely = jnp.exp(-0.5 * ((x - alpha * a[..., 0]) / sigma) ** 2)
        return jnp.log(jnp.sum(likely * tilt, axis=-1)) - jnp.log(jnp.sum(likely * weight, axis=-1))

    return energy


def return_value(shown: Setting, scene: Scenario, path: Path, over: Callable = jnp.mean) -> Callable[[Array], Array]:
    """V(s): the mean over the previous policy's actions of over_h Q_h(s, a), the laboratory's return.

    The policy is the one that draws the laboratory's batches; each state has draws of its own, of a fixed key.
    """
    mixture = lab.law(scene, "previous")
    old, heads = presentation.policy(shown, mixture), lab.q_heads(scene.critic)

    def value(s: Array) -> Array:
        many = jnp.broadcast_to(s, (ROLLOUTS, *s.shape))
        key = jax.random.key(1)
        a = old.action(old.chain(key, many)[-1]) if shown.policy == "field" else old.sample(key, many)
        return jnp.mean(over(heads(many, a), axis=0), axis=0)

    return value
