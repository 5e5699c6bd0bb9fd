"""From coordinates to losses: the only module that knows both the knowledge base and the parts."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from flowrl_kb.errors import UserError
from flowrl_kb.parts import critic as critics
from flowrl_kb.parts import guidance, steering
from flowrl_kb.parts import route as routes
from flowrl_kb.parts import step as steps
from flowrl_kb.parts.backup import Next
from flowrl_kb.parts.control_variate import share
from flowrl_kb.parts.likelihood import pull_to_frozen
from flowrl_kb.parts.route import Parts
from flowrl_kb.parts.space import denoising_error, level_weight
from flowrl_kb.parts.types import Loss, Method

Coordinates = Mapping[str, str]
Hyper = Mapping[str, Any]


INFERENCE = ("inference-selection", "inference-guidance")
"""Routes whose actor loss reads no value."""


def part(axis: str, value: str) -> Callable:
    """The function of an axis value: module and function carry the names of axis and value."""
    module = import_module(f"flowrl_kb.parts.{axis.replace('-', '_')}")
    name = value.replace("-", "_")
    function = getattr(module, name + "_" if keyword.iskeyword(name) else name, None)
    if function is None:
        raise UserError(f"cell: {axis}={value} has no executable part yet")
    return function


class MissingHyper(UserError):
    """A part needs the hyper-parameter `name`, which nobody gave."""

    def __init__(self, name: str, message: str):
        super().__init__(message)
        self.name = name


def bind(function: Callable, hyper: Hyper) -> Callable:
    """`function` with its keyword-only arguments taken from `hyper`; a required one that is missing is an error."""
    wanted = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        if name in hyper:
            wanted[name] = hyper[name]
        elif parameter.default is parameter.empty:
            raise MissingHyper(name, f"{function.__module__}.{function.__name__}: needs the hyper-parameter {name!r}")
    return partial(function, **wanted)


def _error(cell: Coordinates) -> Callable:
    """What a regression minimises: a denoising error for fields, a negative log-likelihood for densities."""
    if cell["likelihood"] == "exact-gaussian":
        return lambda actor, draws, s: -actor.log_prob(s, draws.a)
    return partial(denoising_error, weight=part("loss-space", _loss_space(cell)))


def _unless(cell: Coordinates, axis: str, absent: str, default: str) -> str:
    """The cell's value on a conditional axis, or the default where its card had no use for one."""
    return default if cell[axis] == absent else cell[axis]


def _loss_space(cell: Coordinates) -> str:
    if cell["loss-space"] == "control":
        return "velocity"  # the weight of each step comes on top (`parts.control`)
    return "eps" if cell["loss-space"] in ("none", "likelihood") else cell["loss-space"]


def _parts(cell: Coordinates, hyper: Hyper) -> Parts:
    """Bind every part that the route of this cell uses."""

    def bound(axis: str) -> Callable:
        return bind(part(axis, cell[axis]), hyper)

    route, reverse = cell["route"], cell["direction"] == "reverse"
    operator = bound("operator")()
    parts = Parts(operator, bound("reference")(), candidates=hyper.get("candidates", 1), box=hyper.get("box"))
    if route not in ("likelihood-ratio", *INFERENCE):
        aggregation = bind(part("aggregation", _unless(cell, "aggregation", "none", "min")), hyper)
        normaliser = part("normaliser", _unless(cell, "normaliser", "standardised", "none"))
        parts = parts._replace(aggregation=aggregation, normaliser=normaliser)
    parts = parts._replace(target_critic=hyper.get("actor_critic", "online") == "target")
    if route == "likelihood-ratio":
        parts = parts._replace(likelihood=bound("likelihood"), intermediate_value=bound("intermediate-value"))
        if cell["sampler"] == "coupled-euler":
            parts = parts._replace(copy_weight=hyper.get("copy_weight", 0.0))
        pull = steps.pull_along_chain if cell["space"] == "path" else pull_to_frozen
        return parts._replace(pull=bind(pull, hyper)) if cell["reference"] == "fixed" else parts
    if route == "regression-signed":
        forward = part("direction", cell["direction"])
        return parts._replace(direction=forward, error=_error(cell), intermediate_value=bound("intermediate-value"))
    if route == "pathwise":
        one_step = cell["intermediate-value"] == "posterior-mean"
        by_step = cell["intermediate-value"] == "path-value"
        if cell["temperature-control"] == "dual":
            parts = parts._replace(operator=operator._replace(penalty_weight=None))
        if hyper.get("actor_noise_std"):
            from flowrl_kb.parts.acting import perturbed

            scaled = cell["temperature-control"] == "noise"
            parts = parts._replace(perturb=partial(perturbed, noise_std=hyper["actor_noise_std"], scaled=scaled))
        space = part("space", cell["space"])
        if cell["operator"] == "potential":
            space = partial(space, weight=part("loss-space", cell["loss-space"]))
        if cell["operator"] == "noised-density":
            space = partial(space, weight=bind(level_weight, hyper))
        parts = parts._replace(space=space, one_step=one_step)
        if cell["space"] in steering.BESIDE:
            return parts._replace(noise_value=steering.noise_value if by_step else None)
        if by_step:
            return parts._replace(take=_take(cell, hyper), intermediate_value=bound("intermediate-value"))
        if cell["likelihood"] == "noising-ratio":
            return parts._replace(likelihood=bound("likelihood"))
        if not one_step:
            return parts._replace(whole_chain=cell["space"] == "path")
    if cell["likelihood"] == "kernel-density":
        return parts._replace(likelihood=bound("likelihood"), step_max=hyper.get("step_max", float("inf")))
    if cell["intermediate-value"] == "adjoint":
        return parts._replace(intermediate_value=bound("intermediate-value"), error=_error(cell), steered=True)
    chooses = operator.move and operator.weights
    single = reverse or (route in ("regression-gradient", "pathwise", *INFERENCE) and not chooses)
    parts = parts._replace(
        source=bound("source"),
        direction=part("direction", cell["direction"]),
        error=_error(cell),
        support=1 if single else parts.candidates,
    )
    if route in ("regression-gradient", "regression-mixed") and operator.move is None:
        parts = parts._replace(
            scale=part("guidance-scale", _unless(cell, "guidance-scale", "none", "score")),
            intermediate_value=part("intermediate-value", cell["intermediate-value"]),
            share=bind(share, hyper),
        )
    over_value = hyper.get("weight_clip") is not None or cell["operator"] == "conditional"
    if route != "regression-value" or not over_value:
        return parts
    if cell["critic"] in WITH_VALUE:
        return parts._replace(baseline=lambda models, s: models.value(s), of_returns=cell["critic"] == "advantage")
    if "baseline_of" not in hyper:
        raise MissingHyper("baseline_of", f"critic={cell['critic']}: needs the hyper-parameter 'baseline_of'")
    return parts._replace(baseline_of=hyper["baseline_of"])


def _take(cell: Coordinates, hyper: Hyper) -> Callable:
    """How one reverse step is taken from the inputs of the cell."""
    if cell["direction"] != "forward":
        raise UserError("cell: intermediate-value=path-value has an executable part for direction=forward alone")
    if cell["sampler"] in ("ode", "none"):
        raise UserError(f"cell: intermediate-value=path-value has no executable part for sampler={cell['sampler']}")
    ends = {"source": bind(part("source", cell["source"]), hyper), "direction": part("direction", "forward")}
    return bind(steps.take, {**hyper, **ends})


def _step_values(cell: Coordinates, hyper: Hyper) -> dict[str, Loss]:
    """The loss of the values of single steps, or of the noise that starts a chain which is not trained."""
    if cell["space"] == "latent":
        return steering.noise_values()
    value = part("intermediate-value", "path-value")
    reference = bind(part("reference", cell["reference"]), hyper)()
    extra = {"take": _take(cell, hyper), "value": value, "reference": reference}
    return bind(critics.step_values, {**hyper, **extra})()


def actor_loss(cell: Coordinates, hyper: Hyper) -> Loss:
    """The actor loss of a cell: its route, applied to its parts."""
    return partial(part("route", cell["route"]), p=_parts(cell, {**hyper, "loss_space": _loss_space(cell)}))


def rewriting(cell: Coordinates, hyper: Hyper) -> Callable | None:
    """What an update leaves in the place of the stored actions; None where it leaves them alone."""
    if cell["source"] != "rewritten":
        return None
    parts = _parts(cell, hyper)
    return lambda models, batch, key: routes.moved(models, batch, batch.stored, key, parts)


def _next(cell: Coordinates, hyper: Hyper) -> Next | None:
    """How the next actions of a Bellman target are proposed and read; None where no next action is drawn."""
    if cell["backup"] == "none":
        return None
    axes = ("backup-policy", "backup-smoothing", "backup-aggregation")
    return Next(*(bind(part(axis, cell[axis]), hyper) for axis in axes), box=hyper.get("box"))


def compose(name: str, cell: Coordinates, hyper: Hyper) -> Method:
    """The method at a point of the axes.

    Arguments: `cell` one value for each axis, `hyper` canonical hyper-parameters (taxonomy/terms.yaml).
    Errors: UserError for a value without an executable part or a missing hyper-parameter.
    """
    hyper = {**hyper, "temperature_control": cell["temperature-control"]}
    losses = {"actor": actor_loss(cell, hyper)}
    guided = cell["route"] == "inference-guidance"
    if guided:
        hyper = {**hyper, "guiding": _guiding(cell, hyper)}
    of_path = cell["route"] == "pathwise" and cell["space"] == "path"
    if cell["likelihood"] == "noising-ratio":
        hyper["sampled"] = part("likelihood", "noising-ratio")
    if cell["critic"] not in ("reward", "group"):
        backup, after = None, _next(cell, hyper)
        if after:
            hyper = {**hyper, "following": after}
            backup = bind(part("backup", cell["backup"]), hyper)
        if of_path and cell["likelihood"] == "none":
            reference = bind(part("reference", cell["reference"]), hyper)()
            hyper = {**hyper, "path_penalty": bind(steps.path_penalty, {**hyper, "reference": reference})}
        output = cell["critic-output"]
        regress = None if output == "none" else bind(part("critic-output", output), hyper)
        losses |= bind(part("critic", cell["critic"]), hyper)(backup, regress)
    if cell["intermediate-value"] == "path-value":
        losses |= _step_values(cell, hyper)
    losses |= bind(part("temperature-control", cell["temperature-control"]), hyper)()
    act = bind(part("acting", cell["acting"]), hyper)
    if guided:
        act = guidance.acting(act, hyper["guiding"])
    if cell["energy"] != "none":
        losses["energy"] = _energy(cell, hyper)
    trains = {"actor": KIND_BY_SAMPLER.get(cell["sampler"], cell["policy"])}
    trains |= {k: KIND_OF[k] for k in losses if k != "actor"}
    if "critic" in trains and cell["critic-output"] in ("gaussian", "categorical"):
        trains["critic"] = f"{cell['critic-output']}-critic"
    reads_behaviour = of_path or cell["operator"] in ("potential", "noised-density")
    reads_behaviour = reads_behaviour or cell["intermediate-value"] == "adjoint"
    of_behaviour = cell["space"] == "coupled-map" or cell["acting"] == "classifier-free"
    to_clone = cell["reference"] == "fixed" and cell["setting"] != "on-policy"  # no data of it on-policy: it is given
    if of_behaviour or (reads_behaviour and to_clone):
        losses["behaviour"] = _cloning(cell)
        trains["behaviour"] = "field"
    made = Method(name, trains, losses, act, rewriting(cell, hyper))
    if cell["space"] in steering.BESIDE:
        return _steered(made, bind(steering.steering, hyper)(cell["space"]))
    return made


def _steered(method: Method, steer: Callable) -> Method:
    """The method with actors that act beside a frozen generator."""
    losses = {name: steering.through(loss, steer) for name, loss in method.losses.items()}
    act = steering.through(method.act, steer)
    return method._replace(losses=losses, act=act, generate=lambda models, s, key: steer(models).actor.sample(key, s))


def sufficient(name: str, cell: Coordinates, hyper: Hyper, lent: Hyper) -> dict[str, Any]:
    """`hyper` with those hyper-parameters of `lent` that the cell requires.

    Optional ones are left out, because they would change more than the coordinates say.
    Errors: UserError for a cell without an executable part, MissingHyper for what nobody lends.
    """
    hyper = dict(hyper)
    while True:
        try:
            compose(name, cell, hyper)
            return hyper
        except MissingHyper as missing:
            if missing.name not in lent:
                raise
            hyper[missing.name] = lent[missing.name]


KIND_OF = {
    "critic": "critic",
    "step_critic": "step-critic",
    "value": "value",
    "energy": "energy",
    "log_temperature": "scalar",
}
"""Kinds of the auxiliary objects that the axes train."""
KIND_BY_SAMPLER = {"learned-noise": "noisy-field"}
"""Kinds of actors that train more than their axis `policy` says."""


WITH_VALUE = ("in-sample", "in-sample-linear", "in-sample-exponential", "in-sample-soft-chi-square", "advantage")
"""Critics that train a state value, from which unnormalised weights are measured."""


def _guiding(cell: Coordinates, hyper: Hyper) -> Callable:
    """How the sampler of the cell is guided."""
    guide = guidance.trained
    if cell["energy"] == "none":
        if cell["intermediate-value"] != "naive":
            raise UserError("cell: route=inference-guidance without an energy has an executable part for naive alone")
        guide = bind(guidance.naive, hyper)(part("aggregation", cell["aggregation"]))
    scale = cell["guidance-scale"]
    return bind(guidance.guiding, hyper)(guide, part("guidance-scale", scale), scale == "velocity")


def _energy(cell: Coordinates, hyper: Hyper) -> Loss:
    """The loss of the energy that guides the sampler; it reads critics as an actor loss would."""
    aggregation = part("aggregation", cell["aggregation"])
    weight = bind(part("energy-weight", cell["energy-weight"]), hyper)()
    target = hyper.get("actor_critic", "online") == "target"

    def log_weight(models, s, a, key):
        heads = (models.target_critic if target else models.critic)(s, a)
        return weight(aggregation(heads, key)[0], None if models.value is None else models.value(s))

    return bind(part("energy", cell["energy"]), hyper)(log_weight)


def _cloning(cell: Coordinates) -> Loss:
    """The denoising loss of the behaviour model on data actions."""
    weight = part("loss-space", _loss_space(cell))

    def loss(models, batch, key):
        from flowrl_kb.parts.direction import forward

        draws = forward(models.behaviour, batch.a[None], key, 1, None)
        return denoising_error(models.behaviour, draws, batch.s, weight).mean() / batch.a.shape[-1], {}

    return loss


def published(name: str, hyper: Hyper) -> Method:
    """The method as its paper states it: the functions of `flowrl_kb.published.<name>`, bound to `hyper`.

    Errors: UserError where nobody has written them.
    """
    path = f"flowrl_kb.published.{name.replace('-', '_')}"
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise UserError(f"{name}: found no published losses ({path})") from None
    losses = {what: bind(getattr(module, f"{what}_loss"), hyper) for what in module.TRAINS}
    rewrite = bind(module.rewrite, hyper) if hasattr(module, "rewrite") else None
    generate = bind(module.generate, hyper) if hasattr(module, "generate") else None
    return Method(name, dict(module.TRAINS), losses, bind(module.act, hyper), rewrite, generate)


def hyperparameters(node) -> dict[str, Any]:
    """The published hyper-parameters of a node (a method or a variant of it), by canonical name."""
    values = {name: h.value for name, h in node.card.hyperparameters.items()}
    return values | (dict(node.variant.hyperparameters) if node.variant else {})


def of_node(node, composed: bool = False, hyper: Hyper | None = None) -> Method:
    """The executable of a node of the knowledge base; `hyper` overrides its published hyper-parameters.

    Variants are composed from their coordinates; methods are published unless `composed`.
    """
    values = {**hyperparameters(node), **(hyper or {})}
    if composed or node.variant:
        return compose(node.id, node.coordinates, values)
    return published(node.id, values)
