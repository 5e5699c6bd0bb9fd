"""Noise fields that methods should end at, by quadrature in the laboratory's scenarios.

Every function takes a scenario and a path and returns a field eps(x, t, s). They share no code with the losses or the
parts: the posterior average is a Gauss-Hermite sum, and the value enters by its formula.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.laboratory import Bumps, Scenario
from flowrl_kb.parts.types import Array, Path

NODES = 16
"""Gauss-Hermite nodes in each action dimension. The kink of the smaller head limits the accuracy to about 0.006 where
the field has size 0.4 (0.013 with ten nodes)."""
DRAWS = 16384
"""Samples of the data law behind a normaliser by the mean absolute value."""
Field = Callable[[Array, Array, Array], Array]


def hermite(dim: int, number: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (n, dim) and log weights (n,) of a standard normal average, `number` in each dimension."""
    node, weight = np.polynomial.hermite_e.hermegauss(number)
    nodes = np.stack(np.meshgrid(*[node] * dim, indexing="ij"), -1).reshape(-1, dim)
    weights = np.stack(np.meshgrid(*[weight] * dim, indexing="ij"), -1).reshape(-1, dim)
    return nodes.astype(np.float32), np.log(weights / weight.sum()).sum(1).astype(np.float32)


def boltzmann(temperature: float, critic: str, scene: Scenario, path: Path) -> Field:
    """E[eps | x] under p(a | x) ~ exp(min_h Q_h(s, a) / lambda) N(x; alpha a, sigma^2).

    The quadratic part of Q joins the Gaussian, so that the rule only has to average bumps and tilt. `critic` names the
    scenario's `critic` or `target_critic`. Source: taxonomy note E06; sections on the noised Boltzmann law in iDEM.
    """
    bumps: Bumps = getattr(scene, critic)
    heads = lab.q_heads(bumps)

    def eps(x: Array, t: Array, s: Array) -> Array:
        nodes, log_weight = hermite(x.shape[-1])
        t = jnp.broadcast_to(t, x.shape[:-1])
        alpha, sigma = path.alpha(t)[..., None, None], path.sigma(t)[..., None, None]
        precision = bumps.curvature / temperature + (alpha / sigma) ** 2
        a = (alpha / sigma**2 * x[..., None, :]) / precision + nodes / jnp.sqrt(precision)
        rest = jnp.min(heads(s[..., None, :], a), axis=0) + 0.5 * bumps.curvature * jnp.sum(a**2, -1)
        share = jax.nn.softmax(rest / temperature + log_weight, axis=-1)
        return jnp.sum(share[..., None] * (x[..., None, :] - alpha * a) / sigma, axis=-2)

    return eps


def behaviour(scene: Scenario, path: Path) -> Field:
    """The noise field of the data law: what plain denoising of data actions ends at."""
    return lab.exact_eps(lab.law(scene, "behaviour"), path)


def naive(
    temperature: float, critic: str, reference: str, scaled: bool, normalised: bool, scene: Scenario, path: Path
) -> Field:
    """eps_nu(x) - scale grad_x mean_h Q_h(s, x) / (lambda n): the clean critic read at the noisy action.

    `reference` is `uniform` (eps_nu = 0) or `fixed`; scale is sigma where `scaled`, else one; n = E|mean_h Q_h| over
    data actions where `normalised`, else one. Source: QSM, Algorithm 1; DAC, soft Q-guidance with lambda = 2 eta.
    """
    heads = lab.q_heads(getattr(scene, critic))
    divisor = jnp.ones(())
    if normalised:
        k_s, k_a = jax.random.split(jax.random.key(0))
        s = jax.random.uniform(k_s, (DRAWS, lab.CONTEXT), minval=-1.0, maxval=1.0)
        a = lab.draw(lab.law(scene, "behaviour"), k_a, s)
        divisor = jnp.mean(jnp.abs(jnp.mean(heads(s, a), axis=0)))

    def eps(x: Array, t: Array, s: Array) -> Array:
        slope = jax.grad(lambda points: jnp.sum(jnp.mean(heads(s, points), axis=0)))(x)
        start = behaviour(scene, path)(x, t, s) if reference == "fixed" else 0.0
        scale = path.sigma(jnp.broadcast_to(t, x.shape[:-1]))[..., None] if scaled else 1.0
        return start - scale * slope / (temperature * divisor)

    return eps
