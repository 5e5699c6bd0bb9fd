"""What a run is made of: a method or cell, its hyper-parameters, and how they are overridden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import yaml

from flowrl_kb.errors import UserError, unknown
from flowrl_kb.parts import path as paths
from flowrl_kb.parts.modules import ACTIVATIONS, BACKBONES
from flowrl_kb.parts.networks import Shape
from flowrl_kb.parts.steering import BESIDE
from flowrl_kb.parts.types import Array, Path

TRAINING: dict[str, Any] = {
    "batch": 256,
    "learning_rate": 3e-4,
    "target_rate": 0.005,
    "actor_every": 1,
    "old_every": 1,
    "gradient_norm": None,
    "decay_steps": None,
    "hidden": (256, 256, 256),
    "activation": "mish",
    "backbone": "mlp",
    "heads": 2,
    "reward_scale": 1.0,
    "critic": "learned",
    # off-policy loops
    "envs": 1,
    "random_steps": 1000,
    "replay": 1_000_000,
    "updates_per_step": 1,
    # on-policy loops
    "rollout": 2048,
    "epochs": 10,
    "minibatches": 32,
    "gae_lambda": 0.95,
}
"""Defaults of everything about training that a card may leave open."""

OBJECTS = ("actor", "critic", "step_critic", "value", "behaviour", "energy")
PER_OBJECT = ("learning_rate", "target_rate", "hidden", "activation", "backbone", "gradient_norm", "every")
"""Settings that may be given for one trained object, by prefix: `critic_learning_rate`."""

BANDIT = {
    "hidden": (64, 64),
    "activation": "mish",
    "batch": 128,
    "learning_rate": 3e-3,
    "actor_every": 1,
    "reward_scale": 1.0,
    "temperature": 0.2,
}
AT_MOST = {"candidates": 64, "best_of": 8, "backup_of": 8, "log_temperature_every": 100, "log_temperature_start": 0.0}
AT_LEAST = {"steps": 20}
LANGEVIN = {"steps": 100, "min_std": 0.003}
"""No walls stop a step on a bandit: NC-LQL's own, of deviation one at the noisiest level, leave every neighbourhood."""
EVALUATIONS = 4096
"""The bandit preset: small networks, fewer candidates, one temperature that suits rewards of order one.

Where many candidates are valued for each state, the batch shrinks until EVALUATIONS are left: SDAC comes as close to
its law with half the batch in half the time.

The learning rate falls to 5 % over the run, because a constant one of this size keeps the law moving. At five sampler
steps the discretisation would be the largest error of a law; chains that are differentiated or scored keep theirs.
"""

REACH = 1.5
"""Where actions are unbounded (bandits), data lie inside [-REACH, REACH]^d."""


UNBOUNDED_TOP = 0.8
"""First noise level of variance-preserving chains on unbounded actions: sigma / alpha is 3.1 there (12.7 at 0.95)."""

WAVES = (3.0, 6.0)
"""Frequencies of the action features on bandits, whose modes are about 0.1 wide."""


POSITIVE = (
    *("batch", "learning_rate", "actor_every", "heads", "envs", "replay", "updates_per_step", "rollout", "epochs"),
    *("minibatches", "temperature", "candidates", "best_of", "backup_of", "steps", "pairs", "min_std", "max_std"),
)
"""Settings that make no sense at zero or below."""


class Settings(NamedTuple):
    """A run's method by `name`, its `coordinates`, loss hyper-parameters `hyper` and `training` settings."""

    name: str
    coordinates: Mapping[str, str]
    hyper: dict[str, Any]
    training: dict[str, Any]
    preset: str = ""


def parse(pairs: Sequence[str]) -> dict[str, Any]:
    """`name=value` pairs, values read as YAML numbers, lists, words. Errors: a pair without an equals sign."""
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise UserError(f"--set: found {pair!r}, expected name=value")
        found[name.strip().replace("-", "_")] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    """YAML, but 1e-3 is a number."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def override(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Apply `--set`. Errors: UnknownName for a name that neither the method nor training knows; wrong types."""
    hyper, training = dict(settings.hyper), dict(settings.training)
    known = [*hyper, *training, *(f"{o}_{k}" for o in OBJECTS for k in PER_OBJECT)]
    for name, value in changes.items():
        if name not in known:
            raise unknown("hyper-parameter", name, known)
        home = hyper if name in hyper else training
        before = home.get(name)
        number = isinstance(before, int | float) and not isinstance(before, bool)
        if number and not isinstance(value, int | float):
            raise UserError(f"--set {name}: found {value!r}, expected a number such as {before}")
        if isinstance(before, int) and not isinstance(before, bool) and value != int(value):
            raise UserError(f"--set {name}: found {value!r}, expected a whole number such as {before}")
        if number and name in POSITIVE and not value > 0:
            raise UserError(f"--set {name}: found {value!r}, expected a number above zero")
        if name == "critic" and value not in ("learned", "exact"):
            raise UserError(f"--set critic: found {value!r}, expected learned or exact")
        for kind, names in {"activation": ACTIVATIONS, "backbone": BACKBONES}.items():
            if (name == kind or name.endswith(f"_{kind}")) and value not in names:
                raise unknown(kind, str(value), names)
        if name == "hidden" or name.endswith("_hidden"):
            value = (value,) if isinstance(value, int) else value
            if not isinstance(value, list | tuple) or not all(isinstance(v, int) and v > 0 for v in value):
                raise UserError(f"--set {name}: found {value!r}, expected widths such as [256,256]")
            value = tuple(value)
        home[name] = int(value) if isinstance(before, int) and not isinstance(before, bool) else value
    _one_width(training)
    return settings._replace(hyper=hyper, training=training)


def _one_width(training: Mapping[str, Any]) -> None:
    """Errors: UserError where a residual network is given several widths."""
    for name in ("", *(f"{o}_" for o in OBJECTS)):
        backbone = training.get(f"{name}backbone", training.get("backbone", "mlp"))
        hidden = training.get(f"{name}hidden", training["hidden"])
        if backbone != "mlp" and len(set(hidden)) > 1:
            raise UserError(f"--set {name}backbone={backbone}: found hidden widths {list(hidden)}, expected equal ones")


def on_bandit(settings: Settings, steps: int) -> Settings:
    """The bandit preset for a run of `steps` updates, with one line that says what it changed."""
    hyper, training, said = dict(settings.hyper), dict(settings.training), []
    normalised = settings.coordinates.get("normaliser", "none") not in ("none", "standardised")
    for name, value in BANDIT.items():
        if name == "temperature" and normalised:
            continue  # the temperature of a normalised value does not depend on the scale of rewards
        home = training if name in training else hyper
        if home.get(name, value) != value:
            home[name] = value
            said.append(f"{name} {list(value) if isinstance(value, tuple) else value}")
    for name, most in AT_MOST.items():
        home = training if name in training else hyper
        if home.get(name, 0) > most:
            home[name] = most
            said.append(f"{name} {most}")
    if settings.coordinates.get("route", "").split("-")[0] in ("regression", "inference"):
        for name, least in AT_LEAST.items():
            if hyper.get(name, least) < least:
                hyper[name] = least
                said.append(f"{name} {least}")
    if settings.coordinates.get("sampler") == "langevin":
        hyper |= LANGEVIN
        said += [f"{name} {value}" for name, value in LANGEVIN.items()]
    few = EVALUATIONS // hyper.get("candidates", 1)
    if few < training["batch"]:
        training["batch"] = few
        said = [word for word in said if not word.startswith("batch")] + [f"batch {few}"]
    training |= {"envs": 32, "replay": 16_384, "decay_steps": steps, "waves": WAVES}
    for name in [n for n in training if n.endswith(("_hidden", "_activation", "_learning_rate"))]:
        del training[name]
    if settings.coordinates.get("source") == "previous" and settings.coordinates.get("policy") == "field":
        # The target moves with the policy. At ten times this rate DPMD loses its spread before its mean has arrived,
        # and ratios leave the clip, where the unbounded surrogate of FPO diverges.
        training["learning_rate"] = 3e-4
        said = [word for word in said if not word.startswith("learning_rate")]
        said.append("learning_rate 0.0003")
    if settings.coordinates.get("setting") == "on-policy":
        training |= {"envs": 1, "rollout": 1024, "minibatches": 4, "epochs": min(training["epochs"], 5), "old_every": 0}
        said.append(f"rollout 1024, minibatches 4, epochs {training['epochs']}")
    return settings._replace(hyper=hyper, training=training, preset="bandit preset: " + ", ".join(said))


def on_gym(settings: Settings) -> Settings:
    """The card's settings, cut to what a small machine can do, with one line that says what it changed.

    On-policy roll-outs hold at most 2048 transitions. Off-policy methods make one update for each environment step; the
    trainer that the official codes of SDAC, DPMD, iDEM and DACER share steps five environments for each update
    (`--set envs=5`), with which nothing is learned in the first 20000 steps.
    """
    training, said, changes = dict(settings.training), [], {}
    if settings.coordinates.get("setting") == "on-policy":
        envs = min(training["envs"], 16)
        changes = {"envs": envs, "rollout": min(training["rollout"], 2048 // envs)}
        changes["minibatches"] = min(training["minibatches"], 32)
        training["old_every"] = 0
    for name, value in changes.items():
        if training[name] != value:
            training[name] = value
            said.append(f"{name} {value}")
    return settings._replace(training=training, preset="gym preset: " + ", ".join(said) if said else "")


def path_and_grid(coordinates: Mapping[str, str], steps: int, box: float | None) -> tuple[Path, Array]:
    """The forward path of a card and its `steps` + 1 decreasing noise levels, the last one clean.

    Where denoised actions are not clipped to a box, the first level keeps a little signal, because there an error of
    the noise network, and the variance of a gradient expectation, is multiplied by powers of sigma / alpha.
    """
    kind = coordinates.get("path", "vp")
    if kind == "ve":
        path = paths.ve()
        if coordinates.get("sampler") == "langevin":
            levels = jnp.repeat(jnp.geomspace(0.1, 0.001, max(steps // 2, 1)), 2)
            pick = lambda key, shape: jax.random.choice(key, levels, shape)  # noqa: E731
            return path._replace(sample_t=pick), jnp.append(levels, 0.0)
        # Levels as in Karras et al. 2022, eq. 5, with rho = 7.
        u = jnp.linspace(3.0 ** (1 / 7), 0.01 ** (1 / 7), steps)
        return path, jnp.concatenate([u**7, jnp.zeros(1)])
    if kind == "linear":
        if coordinates.get("direction") == "reverse":  # candidates are divided by alpha, their posterior by sigma
            return paths.linear(0.01, 0.99), jnp.linspace(0.99, 0.0, steps + 1)
        # The velocity of a guided or shifted noise is divided by alpha.
        by_noise = (
            coordinates.get("route") == "inference-guidance" or coordinates.get("intermediate-value") == "adjoint"
        )
        top = 1.0 if coordinates.get("prediction") == "velocity" and not by_noise else 0.98
        return paths.linear(t_max=top), jnp.linspace(top, 0.0, steps + 1)
    top = 0.9946 if box is not None else UNBOUNDED_TOP
    return paths.vp(t_max=top), jnp.linspace(top, 0.0, steps + 1)


def shapes(settings: Settings, trains: Mapping[str, str], ds: int, d: int, box: float | None) -> dict[str, Shape]:
    """The `networks.Shape` of every trained object of a method on a task of these dimensions."""
    cell, hyper, training = settings.coordinates, settings.hyper, settings.training
    reach = None if box is not None else REACH
    waves = tuple(training.get("waves", ()))
    base = Shape(ds, d, tuple(training["hidden"]), training["heads"], box=box, reach=reach, waves=waves)
    if {"field", "noisy-field", "flat", "step-critic"} & set(trains.values()):
        path, grid = path_and_grid(cell, int(hyper.get("steps", 10)), box)
        base = base._replace(path=path, grid=grid)
        sampler, prediction = cell.get("sampler", "none"), cell.get("prediction", "none")
        base = base._replace(
            sampler="ode" if sampler in ("none", "unknown", "not-applicable") else sampler,
            prediction="eps" if prediction in ("none", "unknown", "not-applicable") else prediction,
            min_std=hyper.get("min_std") or 0.1,
            max_std=training.get("max_std", base.max_std),
            mixing=hyper.get("mixing", base.mixing),
            noise_level=hyper.get("noise_level", base.noise_level),
        )
    on_policy = cell.get("setting") == "on-policy"
    start = training.get("log_temperature_start", 0.0)
    bounded = box is not None or cell.get("space") in BESIDE  # noises and residuals have a box of their own
    base = base._replace(squash=bounded and not on_policy, state_std=not on_policy, scalar=start)
    if cell.get("critic-output") == "categorical":
        base = base._replace(atoms=int(hyper["atoms"]), support=(hyper["value_min"], hyper["value_max"]))
    return {
        name: base._replace(
            hidden=tuple(training.get(f"{name}_hidden", training["hidden"])),
            activation=training.get(f"{name}_activation", training.get("activation", "mish")),
            backbone=training.get(f"{name}_backbone", training.get("backbone", "mlp")),
            scalar=training.get(f"{name}_start", 0.0),
        )
        for name in trains
    }
