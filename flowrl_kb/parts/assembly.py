"""Which parts the actor loss of a cell needs, each bound to its hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flowrl_kb.errors import UserError
from flowrl_kb.parts import critic as critics
from flowrl_kb.parts import steering
from flowrl_kb.parts import step as steps
from flowrl_kb.parts.binding import Coordinates, Hyper, MissingHyper, bind, part
from flowrl_kb.parts.bound import Parts
from flowrl_kb.parts.control_variate import share
from flowrl_kb.parts.likelihood import pull_to_frozen
from flowrl_kb.parts.space import denoising_error, level_weight
from flowrl_kb.parts.types import Loss

INFERENCE = ("inference-selection", "inference-guidance")
"""Routes whose actor loss reads no value."""
WITH_VALUE = ("in-sample", "in-sample-linear", "in-sample-exponential", "in-sample-soft-chi-square", "advantage")
"""Critics that train a state value, from which unnormalised weights are measured."""


def error_of(cell: Coordinates, hyper: Hyper) -> Callable:
    """What a regression minimises: a denoising error for fields, a negative log-likelihood for densities."""
    if cell["likelihood"] == "exact-gaussian":
        return lambda actor, draws, s: -actor.log_prob(s, draws.a)
    return partial(bind(denoising_error, hyper), weight=part("loss-space", loss_space_of(cell)))


def unless(cell: Coordinates, axis: str, absent: str, default: str) -> str:
    """The cell's value on a conditional axis, or the default where its card had no use for one."""
    return default if cell[axis] == absent else cell[axis]


def loss_space_of(cell: Coordinates) -> str:
    if cell["loss-space"] == "control":
        return "velocity"  # the weight of each step comes on top (`parts.control`)
    return "eps" if cell["loss-space"] in ("none", "likelihood") else cell["loss-space"]


def parts_of(cell: Coordinates, hyper: Hyper) -> Parts:
    """Bind every part that the route of this cell uses."""
    trained = cell["temperature-control"] == "weight-divergence"
    hyper = {**hyper, "temperature": 1.0} if trained else hyper  # the trained one divides Q instead

    def bound(axis: str) -> Callable:
        return bind(part(axis, cell[axis]), hyper)

    route, reverse = cell["route"], cell["direction"] == "reverse"
    operator = bound("operator")()
    parts = Parts(operator, bound("reference")(), candidates=hyper.get("candidates", 1), box=hyper.get("box"))
    parts = parts._replace(trained_temperature=trained)
    if route not in ("likelihood-ratio", *INFERENCE):
        aggregation = bind(part("aggregation", unless(cell, "aggregation", "none", "min")), hyper)
        normaliser = part("normaliser", unless(cell, "normaliser", "standardised", "none"))
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
        value = bound("intermediate-value")
        return parts._replace(direction=forward, error=error_of(cell, hyper), intermediate_value=value)
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
        if cell["operator"] in ("potential", "reciprocal-potential"):
            space = partial(space, weight=part("loss-space", cell["loss-space"]))
        if cell["operator"] == "noised-density":
            space = partial(space, weight=bind(level_weight, hyper))
        parts = parts._replace(space=space, one_step=one_step)
        if cell["space"] in steering.BESIDE:
            return parts._replace(noise_value=steering.noise_value if by_step else None)
        if by_step:
            return parts._replace(take=taken(cell, hyper), intermediate_value=bound("intermediate-value"))
        if cell["likelihood"] == "noising-ratio":
            return parts._replace(likelihood=bound("likelihood"))
        if operator.pull:
            return parts._replace(error=error_of(cell, hyper), whole_chain=True)
        if not one_step:
            return parts._replace(whole_chain=cell["space"] == "path")
    if cell["likelihood"] == "kernel-density":
        return parts._replace(likelihood=bound("likelihood"), step_max=hyper.get("step_max", float("inf")))
    if cell["intermediate-value"] == "adjoint":
        return parts._replace(intermediate_value=bound("intermediate-value"), error=error_of(cell, hyper), steered=True)
    chooses = operator.move and operator.weights
    single = reverse or (route in ("regression-gradient", "pathwise", *INFERENCE) and not chooses)
    parts = parts._replace(
        source=bound("source"),
        direction=part("direction", cell["direction"]),
        error=error_of(cell, hyper),
        support=1 if single else parts.candidates,
    )
    if route in ("regression-gradient", "regression-mixed") and operator.move is None:
        parts = parts._replace(
            scale=part("guidance-scale", unless(cell, "guidance-scale", "none", "score")),
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


def taken(cell: Coordinates, hyper: Hyper) -> Callable:
    """How one reverse step is taken from the inputs of the cell."""
    if cell["direction"] != "forward":
        raise UserError("cell: intermediate-value=path-value has an executable part for direction=forward alone")
    if cell["sampler"] in ("ode", "none"):
        raise UserError(f"cell: intermediate-value=path-value has no executable part for sampler={cell['sampler']}")
    ends = {"source": bind(part("source", cell["source"]), hyper), "direction": part("direction", "forward")}
    return bind(steps.take, {**hyper, **ends})


def step_values(cell: Coordinates, hyper: Hyper) -> dict[str, Loss]:
    """The loss of the values of single steps, or of the noise that starts a chain which is not trained."""
    if cell["space"] == "latent":
        return steering.noise_values()
    value = part("intermediate-value", "path-value")
    reference = bind(part("reference", cell["reference"]), hyper)()
    extra = {"take": taken(cell, hyper), "value": value, "reference": reference}
    return bind(critics.step_values, {**hyper, **extra})()
