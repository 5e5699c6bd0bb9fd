"""The laboratory: seeded contextual bandits whose laws have exact denoisers, served as traced arrays.

A scenario fixes four Gaussian-mixture laws (behaviour, previous, current, averaged), two pairs of critics that
disagree, and a context law. Every loss is compiled once and sees all scenarios.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from flowrl_kb.parts import path as paths
from flowrl_kb.parts.policy import Deterministic, Field, Gaussian, Map
from flowrl_kb.parts.types import Array, Batch, Key, Models, Path

DIM, CONTEXT, COMPONENTS, BUMPS = 2, 2, 3, 4
LEVELS = 5
"""Sampler steps of every chain in the laboratory."""
T_RANGE = (0.1, 0.85)
"""Noise levels that training losses draw, uniformly."""
LAWS = ("behaviour", "previous", "current", "averaged")


class Mixture(NamedTuple):
    """Weights (C,), means at context zero (C, d), their slope in the context (C, d, ds), deviations (C,)."""

    log_weight: Array
    mean: Array
    slope: Array
    std: Array


class Bumps(NamedTuple):
    """Q_h(s, a) = sum_i height_hi exp(-|a - centre_i - slope_i s|^2 / 2 width^2) - curvature |a|^2 / 2 + tilt_h . a."""

    height: Array
    centre: Array
    slope: Array
    width: Array
    curvature: Array
    tilt: Array


class Scenario(NamedTuple):
    """Laws stacked along a leading axis in the order of LAWS, and the online and target critics."""

    laws: Mixture
    critic: Bumps
    target_critic: Bumps


def scenario(seed: int, drift: float, q_scale: float) -> Scenario:
    """A random scenario; `drift` is how far previous, current and averaged laws stand apart (0: previous = current)."""
    keys = iter(jax.random.split(jax.random.PRNGKey(seed), 16))

    def normal(*shape):
        return jax.random.normal(next(keys), shape)

    base = Mixture(
        jax.nn.log_softmax(0.3 * normal(COMPONENTS)),
        0.55 * normal(COMPONENTS, DIM),
        0.25 * normal(COMPONENTS, DIM, CONTEXT),
        0.28 + 0.10 * jax.random.uniform(next(keys), (COMPONENTS,)),
    )
    offsets = {"behaviour": 0.0, "previous": 1.0, "current": 1.0 + drift, "averaged": 1.0 + 2.0 * drift}
    direction, tilt = normal(COMPONENTS, DIM), normal(COMPONENTS)
    laws = [
        base._replace(
            mean=base.mean + 0.22 * o * direction, log_weight=jax.nn.log_softmax(base.log_weight + 0.5 * o * tilt)
        )
        for o in (offsets[name] for name in LAWS)
    ]
    height, centre, slope = normal(2, BUMPS), 0.8 * normal(BUMPS, DIM), 0.3 * normal(BUMPS, DIM, CONTEXT)
    shift, lean = normal(2, BUMPS), normal(2, DIM)

    def critic(extra: float) -> Bumps:
        return Bumps(
            q_scale * (height + extra * shift),
            centre,
            slope,
            jnp.array(0.5),
            jnp.array(0.8 * q_scale),
            0.4 * q_scale * lean,
        )

    return Scenario(jax.tree.map(lambda *a: jnp.stack(a), *laws), critic(0.0), critic(0.4))


def stack(scenarios: list[Scenario]) -> Scenario:
    """Scenarios along a leading axis."""
    return jax.tree.map(lambda *a: jnp.stack(a), *scenarios)


def drifted() -> Scenario:
    """The three scenarios in which the previous policy differs from the current one."""
    return stack([scenario(1, 0.5, 1.0), scenario(2, 0.8, 0.6), scenario(3, 0.5, 1.6)])


def at_old() -> Scenario:
    """The same three scenarios with the current policy put back on the previous one."""
    return stack([scenario(1, 0.0, 1.0), scenario(2, 0.0, 0.6), scenario(3, 0.0, 1.6)])


def law(scene: Scenario, name: str) -> Mixture:
    """One of the four laws."""
    return jax.tree.map(lambda a: a[LAWS.index(name)], scene.laws)


def means(mixture: Mixture, s: Array) -> Array:
    """Component means (..., C, d) at contexts s (..., ds)."""
    return mixture.mean + jnp.einsum("cij,...j->...ci", mixture.slope, s)


def exact_eps(mixture: Mixture, path: Path) -> Callable[[Array, Array, Array], Array]:
    """E[eps | x_t] of the mixture noised along the path: the component posteriors' means, averaged."""

    def eps(x: Array, t: Array, s: Array) -> Array:
        alpha, sigma = path.alpha(t)[..., None, None], path.sigma(t)[..., None, None]
        centre = alpha * means(mixture, s)
        variance = (alpha * mixture.std[:, None]) ** 2 + sigma**2
        away = x[..., None, :] - centre
        log_p = mixture.log_weight - 0.5 * jnp.sum(away**2 / variance + jnp.log(variance), axis=-1)
        return jnp.sum(jax.nn.softmax(log_p, axis=-1)[..., None] * sigma * away / variance, axis=-2)

    return eps


def draw(mixture: Mixture, key: Key, s: Array) -> Array:
    """One action of the mixture for each context."""
    k_component, k_noise = jax.random.split(key)
    component = jax.random.categorical(k_component, mixture.log_weight, shape=s.shape[:-1])
    centre = jnp.take_along_axis(means(mixture, s), component[..., None, None], axis=-2)[..., 0, :]
    return centre + mixture.std[component][..., None] * jax.random.normal(k_noise, centre.shape)


def q_heads(bumps: Bumps, extra: Callable[[Array, Array], Array] | None = None) -> Callable[[Array, Array], Array]:
    """The critic (s, a) -> (H, ...), plus a trained perturbation (..., H)."""

    def heads(s: Array, a: Array) -> Array:
        centre = bumps.centre + jnp.einsum("cij,...j->...ci", bumps.slope, s)
        kernel = jnp.exp(-0.5 * jnp.sum((a[..., None, :] - centre) ** 2, axis=-1) / bumps.width**2)
        q = kernel @ bumps.height.T - 0.5 * bumps.curvature * jnp.sum(a**2, axis=-1, keepdims=True) + a @ bumps.tilt.T
        if extra is not None:
            q = q + extra(s, a)
        return jnp.moveaxis(q, -1, 0)

    return heads


def spread_heads(bumps: Bumps, extra: Callable[[Array, Array], Array] | None = None) -> Callable[[Array, Array], Array]:
    """Standard deviations (s, a) -> (H, ...) of a distributional critic, plus a trained perturbation (..., H)."""

    def heads(s: Array, a: Array) -> Array:
        spread = 0.5 + 0.2 * jnp.tanh(q_heads(bumps)(s, a))
        return spread if extra is None else spread + jnp.moveaxis(extra(s, a), -1, 0)

    return heads


def state_value(bumps: Bumps, extra: Callable[[Array], Array] | None = None) -> Callable[[Array], Array]:
    """A state value: the first head at the context itself, plus a trained perturbation."""
    return lambda s: q_heads(bumps)(s, 0.5 * s)[0] + (0.0 if extra is None else extra(s))


class Setting(NamedTuple):
    """How the laboratory presents one method: its policy kind, path, sampler and where batch actions come from."""

    policy: str
    path: str
    sampler: str
    min_std: float
    data: str
    distributional: bool = False
    pairs: int = 4


def lab_path(name: str) -> Path:
    """A path of `parts.path` with the laboratory's law of noise levels; policies without a level get `vp`."""
    return getattr(paths, "vp" if name == "none" else name)(*T_RANGE)


def _policy(setting: Setting, mixture: Mixture, extra) -> object:
    """The policy of one law; `extra` perturbs it by the trained parameters (None: frozen)."""
    nothing = extra is None
    if setting.policy == "field":
        path = lab_path(setting.path)
        exact = exact_eps(mixture, path)
        net = exact if nothing else (lambda x, t, s: exact(x, t, s) + extra.field(path, x, t, s))
        grid = jnp.linspace(0.95, 0.0, LEVELS + 1)
        return Field(net, path, grid, DIM, sampler=setting.sampler, min_std=setting.min_std)
    centre = lambda s: jnp.sum(jnp.exp(mixture.log_weight)[:, None] * means(mixture, s), axis=-2)  # noqa: E731
    if setting.policy == "map":
        base = lambda s, z: centre(s) + 0.45 * z + 0.15 * jnp.sin(2.0 * z)  # noqa: E731
        return Map(base if nothing else (lambda s, z: base(s, z) + extra.map(s, z)), DIM)
    mean = centre if nothing else (lambda s: centre(s) + extra.mean(s))
    if setting.policy == "deterministic":
        return Deterministic(mean, DIM)
    width = jnp.log(jnp.mean(mixture.std) + 0.2 * jnp.exp(mixture.log_weight[0]))
    log_std = (lambda s: width) if nothing else (lambda s: width + extra.log_std(s))
    return Gaussian(lambda s: (mean(s), jnp.broadcast_to(log_std(s), mean(s).shape)), DIM)


def models(setting: Setting, scene: Scenario, perturb: dict[str, object]) -> Models:
    """Every object of a method; `perturb` gives the trained perturbation of each trained object by name."""

    def policy(name: str, trained: object = None) -> object:
        return _policy(setting, law(scene, name), trained)

    def get(name: str, attribute: str):
        return getattr(perturb[name], attribute) if name in perturb else None

    frozen = Setting("field", "linear" if setting.path == "none" else setting.path, "ode", 0.1, "behaviour")
    return Models(
        actor=policy("current", perturb.get("actor")),
        target_actor=policy("averaged"),
        old=policy("previous"),
        # A model that is being trained must not stand at its optimum, where its expected update vanishes.
        behaviour=_policy(
            frozen, law(scene, "current" if "behaviour" in perturb else "behaviour"), perturb.get("behaviour")
        ),
        critic=q_heads(scene.critic, get("critic", "heads")),
        target_critic=q_heads(scene.target_critic),
        spread=spread_heads(scene.critic, get("critic", "spread") if setting.distributional else None),
        target_spread=spread_heads(scene.target_critic),
        value=state_value(scene.critic, get("value", "value")),
        target_value=state_value(scene.target_critic),
        log_temperature=perturb["log_temperature"].scalar()
        if "log_temperature" in perturb
        else jnp.log(jnp.array(0.3)),
    )


def batch(setting: Setting, scene: Scenario, key: Key, size: int) -> Batch:
    """A batch of `size` contexts; actions from the data law, or from the previous policy with what it stores."""
    k_s, k_next, k_a, k_r, k_t, k_e, k_chain = jax.random.split(key, 7)
    s = jax.random.uniform(k_s, (size, CONTEXT), minval=-1.0, maxval=1.0)
    next_s = jax.random.uniform(k_next, (size, CONTEXT), minval=-1.0, maxval=1.0)
    chain = None
    if setting.data == "previous":
        old = _policy(setting, law(scene, "previous"), None)
        chain = old.chain(k_chain, s) if setting.policy == "field" else None
        a = old.sample(k_a, s) if chain is None else chain[-1]
    else:
        a = draw(law(scene, "behaviour"), k_a, s)
    q = jnp.mean(q_heads(scene.critic)(s, a), axis=0)
    path = lab_path(setting.path)
    return Batch(
        s=s,
        a=a,
        reward=q + 0.3 * jax.random.normal(k_r, q.shape),
        next_s=next_s,
        not_done=(jax.random.uniform(k_r, q.shape) > 0.1).astype(q.dtype),
        advantage=q - state_value(scene.critic)(s),
        returns=q,
        chain=chain,
        pair_t=path.sample_t(k_t, (setting.pairs, size)),
        pair_eps=jax.random.normal(k_e, (setting.pairs, size, DIM)),
    )
