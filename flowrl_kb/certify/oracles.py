"""Exact state values and energies: what the auxiliary losses of the data should end at, by quadrature.

They share no code with the losses or the parts: averages over data actions are Gauss-Hermite sums over the components
of the data law, and a fixed point is found by halving an interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.exact import hermite
from flowrl_kb.certify.laboratory import Scenario
from flowrl_kb.parts.types import Array, Path

HALVINGS = 40
Slope = Callable[[Array, float], Array]


def expectile(u: Array, tau: float) -> Array:
    """E |tau - 1[u < 0]| u = 0 at u = Q - V."""
    return jnp.where(u > 0.0, tau, 1.0 - tau) * u


def linear(u: Array, temperature: float) -> Array:
    """E (1 + u / lambda)_+ = 1."""
    return jnp.maximum(1.0 + u / temperature, 0.0) - 1.0


def exponential(u: Array, temperature: float) -> Array:
    """E exp(u / lambda) = 1."""
    return jnp.exp(u / temperature) - 1.0


def soft_chi_square(u: Array, temperature: float) -> Array:
    """E w(u / lambda) = 1 with w(y) = 1 + y / 2 above zero and e^y below."""
    return jnp.exp(log_soft_chi_square(u, temperature)) - 1.0


def log_soft_chi_square(u: Array, temperature: float) -> Array:
    y = u / temperature
    return jnp.where(y > 0.0, jnp.log(1.0 + 0.5 * jnp.maximum(y, 0.0)), y)


def _joined(scene: Scenario, critic: str, s: Array, a: Array, over: Callable = jnp.min) -> Array:
    """min_h Q_h, or another function over heads, at nodes a (..., n, d) of contexts s (..., ds)."""
    return over(lab.q_heads(getattr(scene, critic))(s[..., None, :], a), axis=0)


def state_value(
    slope: Slope, parameter: float, critic: str, scene: Scenario, path: Path, over: Callable = jnp.min
) -> Callable[[Array], Array]:
    """V(s) at which the data average of slope(min_h Q_h(s, a) - V, parameter) vanishes; `path` is not used.

    `over` stands in the place of the minimum; the laboratory's returns are the mean of the online heads.
    """
    law = lab.law(scene, "behaviour")
    nodes, log_weight = hermite(law.mean.shape[-1])
    weight = jnp.exp(law.log_weight[:, None] + log_weight).reshape(-1)

    def value(s: Array) -> Array:
        a = lab.means(law, s)[..., None, :] + law.std[:, None, None] * nodes
        q = _joined(scene, critic, s, a.reshape(*s.shape[:-1], -1, a.shape[-1]), over)

        def halve(_, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = 0.5 * (low + high)
            above = slope(q - middle[..., None], parameter) @ weight > 0.0
            return jnp.where(above, middle, low), jnp.where(above, high, middle)

        return sum(jax.lax.fori_loop(0, HALVINGS, halve, (q.min(axis=-1), q.max(axis=-1)))) / 2.0

    return value


Posterior = Callable[[Callable[[Array, Array, Array], Array]], Callable[[Array, Array, Array], Array]]


def _posterior(critic: str, over: Callable, scene: Scenario, path: Path) -> Posterior:
    """Averages over data actions a whose noised copy is x: from average(log p, q, s), q = over_h Q_h(s, a), a function.

    Given the component, a is Gaussian with precision 1 / std^2 + (alpha / sigma)^2.
    """
    law = lab.law(scene, "behaviour")
    nodes, log_node = hermite(law.mean.shape[-1])

    def of(average: Callable[[Array, Array, Array], Array]) -> Callable[[Array, Array, Array], Array]:
        def exact(x: Array, t: Array, s: Array) -> Array:
            t = jnp.broadcast_to(t, x.shape[:-1])
            alpha, sigma = path.alpha(t)[..., None, None], path.sigma(t)[..., None, None]
            variance, centre, x = jnp.square(law.std)[:, None], lab.means(law, s), x[..., None, :]
            spread = alpha**2 * variance + sigma**2
            log_component = law.log_weight - 0.5 * jnp.sum((x - alpha * centre) ** 2 / spread + jnp.log(spread), -1)
            precision = 1.0 / variance + (alpha / sigma) ** 2
            posterior = (centre / variance + alpha * x / sigma**2) / precision
            a = posterior[..., None, :] + nodes / jnp.sqrt(precision)[..., None]
            a = a.reshape(*a.shape[:-3], -1, a.shape[-1])
            log_p = (jax.nn.log_softmax(log_component, axis=-1)[..., None] + log_node).reshape(a.shape[:-1])
            return average(log_p, _joined(scene, critic, s, a, over), s)

        return exact

    return of


def energy(
    log_weight: Callable[[Array, Array], Array], critic: str, scene: Scenario, path: Path
) -> Callable[[Array, Array, Array], Array]:
    """log E[w | x], log w = log_weight(min_h Q_h(s, a), V(s)), V the laboratory's state value."""
    state = lab.state_value(scene.critic, scene.laws.mean.shape[-1])
    return _posterior(critic, jnp.min, scene, path)(
        lambda log_p, q, s: jax.nn.logsumexp(log_p + log_weight(q, state(s)[..., None]), axis=-1)
    )


def mean_energy(
    temperature: float, critic: str, scene: Scenario, path: Path, over: Callable = jnp.mean
) -> Callable[[Array, Array, Array], Array]:
    """E[over_h Q_h(s, a) | x] / lambda: where a squared regression of noisy values ends."""
    return _posterior(critic, over, scene, path)(lambda log_p, q, s: jnp.sum(jnp.exp(log_p) * q, -1) / temperature)


SLOPES: Mapping[str, tuple[Slope, str]] = {
    "in-sample": (expectile, "expectile"),
    "in-sample-linear": (linear, "temperature"),
    "in-sample-exponential": (exponential, "temperature"),
    "in-sample-soft-chi-square": (soft_chi_square, "temperature"),
}
"""What vanishes at the state value of each critic, and the hyper-parameter that it needs."""


def weight(name: str, hyper: Mapping[str, Any], scale: float = 1.0) -> Callable[[Array, Array], Array]:
    """log w(q, v) of an energy weight, bounded by `weight_clip`, at `scale` times the temperature."""
    temperature, most = scale * hyper["temperature"], jnp.log(hyper.get("weight_clip") or jnp.inf)
    if name == "exponential":
        return lambda q, v: jnp.minimum(q / temperature, most)
    return lambda q, v: jnp.minimum(log_soft_chi_square(q - v, temperature), most)
