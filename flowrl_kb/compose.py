"""From coordinates to losses: the only module that knows both the knowledge base and the parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from flowrl_kb.errors import UserError
from flowrl_kb.kb import code
from flowrl_kb.parts import guidance, steering
from flowrl_kb.parts import step as steps
from flowrl_kb.parts.assembly import loss_space_of, parts_of, step_values
from flowrl_kb.parts.backup import Next
from flowrl_kb.parts.binding import Coordinates, Hyper, MissingHyper, bind, part
from flowrl_kb.parts.bound import moved
from flowrl_kb.parts.direction import forward
from flowrl_kb.parts.route import weighted
from flowrl_kb.parts.space import denoising_error
from flowrl_kb.parts.types import Loss, Method

KIND_OF = {
    "critic": "critic",
    "step_critic": "step-critic",
    "value": "value",
    "energy": "energy",
    "log_temperature": "scalar",
}
"""Kinds of the auxiliary objects that the axes train."""
KIND_BY_OUTPUT = {
    "gaussian": "gaussian-critic",
    "gaussian-huber": "gaussian-critic",
    "categorical": "categorical-critic",
}
"""Kinds of critics whose heads put out more than a number."""
KIND_BY_SAMPLER = {"learned-noise": "noisy-field"}
"""Kinds of actors that train more than their axis `policy` says."""


def actor_loss(cell: Coordinates, hyper: Hyper) -> Loss:
    """The actor loss of a cell: its route, applied to its parts."""
    return partial(part("route", cell["route"]), p=parts_of(cell, {**hyper, "loss_space": loss_space_of(cell)}))


def weighing(cell: Coordinates, hyper: Hyper) -> Callable:
    """The weights (K, B) of the candidates of a cell's actor loss, drawn anew."""
    parts = parts_of(cell, hyper)
    return lambda models, batch, key: weighted(models, batch, key, parts)[1]


def rewriting(cell: Coordinates, hyper: Hyper) -> Callable | None:
    """What an update leaves in the place of the stored actions; None where it leaves them alone."""
    if cell["source"] != "rewritten":
        return None
    parts = parts_of(cell, hyper)
    return lambda models, batch, key: moved(models, batch, batch.stored, key, parts)


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
    guided = cell["route"] == "inference-guidance"
    if guided:
        hyper = {**hyper, "guiding": _guiding(cell, hyper)}
    act = bind(part("acting", cell["acting"]), hyper)
    if guided:
        act = guidance.acting(act, hyper["guiding"])
    hyper = {**hyper, "act": act}
    losses = {} if cell["policy"] == "flat" else {"actor": actor_loss(cell, hyper)}
    of_path = cell["route"] == "pathwise" and cell["space"] == "path"
    if cell["likelihood"] == "noising-ratio":
        hyper["sampled"] = part("likelihood", "noising-ratio")
    if cell["temperature-control"] == "weight-divergence":
        hyper["weigh"] = weighing(cell, hyper)
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
        losses |= step_values(cell, hyper)
    losses |= bind(part("temperature-control", cell["temperature-control"]), hyper)()
    if cell["energy"] != "none":
        losses["energy"] = _energy(cell, hyper)
    trains = {"actor": KIND_BY_SAMPLER.get(cell["sampler"], cell["policy"])}
    trains |= {k: KIND_OF[k] for k in losses if k != "actor"}
    if "critic" in trains:
        trains["critic"] = KIND_BY_OUTPUT.get(cell["critic-output"], "critic")
    reads_behaviour = of_path or cell["operator"] in ("potential", "reciprocal-potential", "noised-density")
    reads_behaviour = reads_behaviour or cell["intermediate-value"] == "adjoint"
    of_behaviour = cell["space"] == "coupled-map" or cell["acting"] == "classifier-free"
    to_clone = cell["reference"] == "fixed" and cell["setting"] != "on-policy"  # no data of it on-policy: it is given
    if of_behaviour or (reads_behaviour and to_clone):
        losses["behaviour"] = _cloning(cell)
        trains["behaviour"] = "field"
    generate = act if cell["policy"] == "flat" else None  # samples of the flat law are no actions of anybody
    made = Method(name, trains, losses, act, rewriting(cell, hyper), generate)
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


def _guiding(cell: Coordinates, hyper: Hyper) -> Callable:
    """How the sampler of the cell is guided."""
    guide = guidance.trained
    if cell["energy"] == "none":
        if cell["intermediate-value"] != "naive":
            raise UserError("cell: route=inference-guidance without an energy has an executable part for naive alone")
        guide = bind(guidance.naive, hyper)(part("aggregation", cell["aggregation"]))
    scale = cell["guidance-scale"]
    divisor = None if cell["normaliser"] == "none" else part("normaliser", cell["normaliser"])
    return bind(guidance.guiding, hyper)(guide, part("guidance-scale", scale), scale == "velocity", divisor)


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
    weight = part("loss-space", loss_space_of(cell))

    def loss(models, batch, key):
        draws = forward(models.behaviour, batch.a[None], key, 1, None)
        return denoising_error(models.behaviour, draws, batch.s, weight).mean() / batch.a.shape[-1], {}

    return loss


def published(name: str, hyper: Hyper) -> Method:
    """The method as its paper states it: the functions of `flowrl_kb.published.<name>`, bound to `hyper`.

    Errors: UserError where nobody has written them.
    """
    path = f"flowrl_kb.published.{code.module(name)}"
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise UserError(f"{name}: found no published losses ({path})") from None
    losses = {
        what: bind(getattr(module, f"{what}_loss"), hyper) for what, kind in module.TRAINS.items() if kind != "flat"
    }
    rewrite = bind(module.rewrite, hyper) if hasattr(module, "rewrite") else None
    generate = bind(module.generate, hyper) if hasattr(module, "generate") else None
    return Method(name, dict(module.TRAINS), losses, bind(module.act, hyper), rewrite, generate)


def has_own_losses(node) -> bool:
    """Whether a node is executed by losses of its own: every method, and variants with a file."""
    return node.variant is None or bool(code.published(node.id))


def hyperparameters(node) -> dict[str, Any]:
    """The published hyper-parameters of a node (a method or a variant of it), by canonical name."""
    values = {name: h.value for name, h in node.card.hyperparameters.items()}
    return values | (dict(node.variant.hyperparameters) if node.variant else {})


def of_node(node, composed: bool = False, hyper: Hyper | None = None) -> Method:
    """The executable of a node of the knowledge base; `hyper` overrides its published hyper-parameters.

    Published unless `composed`; variants without losses of their own are composed from their coordinates.
    """
    values = {**hyperparameters(node), **(hyper or {})}
    if composed or not has_own_losses(node):
        return compose(node.id, node.coordinates, values)
    return published(node.id, values)
