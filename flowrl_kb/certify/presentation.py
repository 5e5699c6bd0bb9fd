"""How the laboratory presents one method: its models and batches, in coordinates that all methods share.

Every path draws the same law of log-SNR = log(alpha^2 / sigma^2) and every sampler visits the same levels of it, so
that updates of methods on different paths can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.features import ATOMS
from flowrl_kb.certify.laboratory import Mixture, Scenario
from flowrl_kb.parts import path as paths
from flowrl_kb.parts.policy import Deterministic, Field, Gaussian, Map
from flowrl_kb.parts.types import Array, Batch, Key, Models, Path

LOG_SNR = (-2.8, 3.6)
"""Training losses draw log-SNR uniformly from this range."""
LEVELS = (-5.0, -2.0, -0.5, 0.8, 2.4)
"""Log-SNR at which a chain of the laboratory starts its steps; the last step ends at the clean action."""
TEMPERATURE = 0.3
"""Start of a trained temperature."""
REWARD_STD, ENDS = 0.3, 0.1
"""Deviation of the noise of a reward; how often an episode ends."""

_LEVEL_OF: dict[str, Callable[[Array], Array]] = {
    "vp": lambda r: 2.0 / np.pi * jnp.arctan(jnp.exp(-0.5 * r)),
    "ve": lambda r: jnp.exp(-0.5 * r),
    "linear": lambda r: jax.nn.sigmoid(-0.5 * r),
}
"""The level t of each path at a given log-SNR."""


class Setting(NamedTuple):
    """What the presentation of a method depends on: its policy kind, path, sampler and where batch actions come from.

    `data` is `behaviour`, `previous`, or `rewritten` (behaviour, with other stored actions beside it); `pairs` counts
    the stored (t, eps) pairs of each action.
    """

    policy: str
    path: str = "vp"
    sampler: str = "ancestral"
    min_std: float = 0.1
    data: str = "behaviour"
    critic_output: str = "scalar"
    pairs: int = 4
    dim: int = 2
    box: float | None = None


def lab_path(name: str) -> Path:
    """A path of `parts.path` with the laboratory's law of levels; policies without one get `vp`."""
    name = "vp" if name == "none" else name

    def sample_t(key: Key, shape: tuple[int, ...]) -> Array:
        return _LEVEL_OF[name](jax.random.uniform(key, shape, minval=LOG_SNR[0], maxval=LOG_SNR[1]))

    return getattr(paths, name)()._replace(sample_t=sample_t)


def grid(name: str) -> Array:
    """The sampler's levels (K+1,) on a path, from noise to the clean action."""
    return jnp.append(_LEVEL_OF["vp" if name == "none" else name](jnp.array(LEVELS)), 0.0)


def one_gaussian(mixture: Mixture) -> Mixture:
    """One component at the mixture's centre, of one width for all laws.

    Coupled chains get these laws: between fields of mixtures their likelihood ratio has tails too heavy for a variance.
    Their two copies carry every shift twice, which the factor of the width makes up for.
    """
    weight = jnp.exp(mixture.log_weight)
    mean, slope = (jnp.tensordot(weight, x, 1)[None] for x in (mixture.mean, mixture.slope))
    return Mixture(jnp.zeros(1), mean, slope, jnp.sqrt(2.0) * (jnp.mean(mixture.std, keepdims=True) + 0.3))


def step_noise(path: Path, trained=None) -> Callable[[Array, Array, Array], Array]:
    """The deviation of a sampler's learned noise; the same for all laws, so that ratios of chains have a variance."""

    def std(x: Array, t: Array, s: Array) -> Array:
        log_std = -1.0 + 0.2 * jnp.tanh(x) + 0.3 * t[..., None] + 0.1 * jnp.sum(s, axis=-1, keepdims=True)
        return jnp.exp(log_std if trained is None else log_std + trained.log_noise(path, x, t, s))

    return std


def policy(setting: Setting, mixture: Mixture, trained=None, exact=None) -> object:
    """The policy of one law; `trained` perturbs it by trained parameters, `exact` replaces the field of the law."""
    if setting.policy == "field":
        mixture = one_gaussian(mixture) if setting.sampler == "coupled-euler" else mixture
        path = lab_path(setting.path)
        base = lab.exact_eps(mixture, path) if exact is None else exact(path)
        net = base if trained is None else (lambda x, t, s: base(x, t, s) + trained.field(path, x, t, s))
        noise = step_noise(path, trained) if setting.sampler == "learned-noise" else None
        drawn = (setting.sampler, setting.min_std, setting.box)
        return Field(net, path, grid(setting.path), setting.dim, "eps", *drawn, noise=noise)

    if setting.policy == "flat":
        drawn = (lab_path(setting.path), grid(setting.path), setting.dim, "eps")
        return Field(lambda x, t, s: jnp.zeros_like(x), *drawn, setting.sampler, setting.min_std, setting.box)

    def centre(s: Array) -> Array:
        return jnp.sum(jnp.exp(mixture.log_weight)[:, None] * lab.means(mixture, s), axis=-2)

    if setting.policy == "map":
        base = lambda s, z: centre(s) + 0.45 * z + 0.15 * jnp.sin(2.0 * z)  # noqa: E731
        move = base if trained is None else (lambda s, z: base(s, z) + trained.map(s, z))
        return Map(move, setting.dim, setting.box)
    mean = centre if trained is None else (lambda s: centre(s) + trained.mean(s))
    if setting.policy == "deterministic":
        return Deterministic(mean, setting.dim)
    # One width for all laws: a wider current policy would give likelihood ratios without a variance.
    width = jnp.log(jnp.mean(mixture.std) + 0.3)
    log_std = (lambda s: width) if trained is None else (lambda s: width + trained.log_std(s))
    return Gaussian(lambda s: (mean(s), jnp.broadcast_to(log_std(s), mean(s).shape)), setting.dim)


def models(
    setting: Setting, scene: Scenario, trained: Mapping[str, object], exact: Mapping[str, Callable] | None = None
) -> Models:
    """Every object of a method; `trained` gives the perturbation of each trained object by its name.

    `exact` gives, by name, factories of what stands in the place of the laboratory's: factory(path) is a noise field of
    the actor or the behaviour model, a state value, a step critic, an energy, or what a critic outputs by its name
    (`heads`, `spread`, `logits`).
    """

    def of(name: str, attribute: str):
        return getattr(trained[name], attribute) if name in trained else None

    path, at = lab_path(setting.path), exact or {}
    there = {name: at[name](path) for name in ("value", "step_critic", "energy") if name in at}
    returns = at["critic"](path) if "critic" in at else {}
    spread = of("critic", "spread") if setting.critic_output == "gaussian" else None
    flow = setting._replace(policy="field", path="linear" if setting.path == "none" else setting.path, sampler="ode")
    # A model that is being trained must not stand at its optimum, where its expected update vanishes.
    cloned = lab.law(scene, "current" if "behaviour" in trained else "behaviour")
    start = jnp.log(jnp.array(TEMPERATURE))
    return Models(
        actor=policy(setting, lab.law(scene, "current"), trained.get("actor"), at.get("actor")),
        target_actor=policy(setting, lab.law(scene, "averaged")),
        old=policy(setting, lab.law(scene, "previous")),
        behaviour=policy(flow, cloned, trained.get("behaviour"), at.get("behaviour")),
        critic=lab.q_heads(scene.critic, of("critic", "heads"), returns.get("heads")),
        target_critic=lab.q_heads(scene.target_critic),
        spread=lab.spread_heads(scene.critic, spread, returns.get("spread")),
        target_spread=lab.spread_heads(scene.target_critic),
        logits=lab.logit_heads(scene.critic, ATOMS, of("critic", "logits"), returns.get("logits")),
        target_logits=lab.logit_heads(scene.target_critic, ATOMS),
        step_critic=lab.step_heads(scene.critic, path, of("step_critic", "step_heads"), there.get("step_critic")),
        target_step_critic=lab.step_heads(scene.target_critic, path),
        value=lab.state_value(scene.critic, setting.dim, of("value", "value"), there.get("value")),
        target_value=lab.state_value(scene.target_critic, setting.dim),
        energy=lab.noisy_energy(scene.critic, path, of("energy", "energy"), there.get("energy")),
        log_temperature=start + trained["log_temperature"].scalar() if "log_temperature" in trained else start,
    )


def _drawn(setting: Setting, scene: Scenario, law: str, key: Key, s: Array) -> Array:
    a = lab.draw(lab.law(scene, law), key, s)
    return a if setting.box is None else jnp.clip(a, -setting.box, setting.box)


def batch(setting: Setting, scene: Scenario, key: Key, size: int) -> Batch:
    """A batch of `size` contexts; actions from the data law, or from the previous policy with what it stores."""
    k_s, k_next, k_a, k_r, k_end, k_t, k_e, k_chain = jax.random.split(key, 8)
    s, next_s = (jax.random.uniform(k, (size, lab.CONTEXT), minval=-1.0, maxval=1.0) for k in (k_s, k_next))
    chain = None
    if setting.data == "previous":
        old = policy(setting, lab.law(scene, "previous"))
        chain = old.chain(k_chain, s) if setting.policy == "field" else None
        a = old.sample(k_a, s) if chain is None else old.action(chain[-1])
    else:
        a = _drawn(setting, scene, "behaviour", k_a, s)
    # Actions that a method has moved before follow another law than those that were executed.
    stored = _drawn(setting, scene, "previous", k_chain, s) if setting.data == "rewritten" else None
    q = jnp.mean(lab.q_heads(scene.critic)(s, a), axis=0)
    # Any function of the state may be the baseline; the value at typical old actions keeps the variance low.
    drawn_by = lab.law(scene, "previous")
    drawn_by = one_gaussian(drawn_by) if setting.sampler == "coupled-euler" else drawn_by
    centres, weight = lab.means(drawn_by, s), jnp.exp(drawn_by.log_weight)
    if setting.policy == "gaussian":
        centres, weight = policy(setting, drawn_by).mean(s)[:, None], jnp.ones(1)
    baseline = jnp.mean(lab.q_heads(scene.critic)(s[:, None], centres), axis=0) @ weight
    return Batch(
        s=s,
        a=a,
        reward=q + REWARD_STD * jax.random.normal(k_r, q.shape),
        next_s=next_s,
        not_done=(jax.random.uniform(k_end, q.shape) > ENDS).astype(q.dtype),
        advantage=q - baseline,
        returns=q,
        chain=chain,
        pair_t=lab_path(setting.path).sample_t(k_t, (setting.pairs, size)),
        pair_eps=jax.random.normal(k_e, (setting.pairs, size, setting.dim)),
        stored=stored,
    )
