"""Where published losses should rest: exact objects by the coordinates of a card, each with a wrong one as control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp

from flowrl_kb import compose
from flowrl_kb.certify import chain_oracles, critic_oracles, exact, oracles
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.presentation import grid
from flowrl_kb.certify.subject import laboratory_hyper, setting
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.assembly import INFERENCE

COLDER = 1.5
"""The negative control predicts an object whose temperature is larger by this factor (plain cloning: a field of another
law; expectiles: the mean; the mean: an expectile)."""

CANDIDATES = (16, 32, 64, 128)
"""Numbers of candidates from which a limit is extrapolated, with terms in 1/K and 1/K^2."""
MANY = tuple(8 * k for k in CANDIDATES)
"""The same where a control variate is estimated beside the weights; up to 128 its error falls slower than 1/K."""

OVER_HEADS = {"min": jnp.min, "mean": jnp.mean}
"""Critic aggregations that squared energies are predicted for."""
FLOWING = ("contrastive", "exponential", "min", "ode")
"""Energy, weight, aggregation and sampler whose energies are predicted under the law of a chain."""
RETURNS = "mean of the returns"
CRITIC = "expected reward and discounted value of what follows"


class Prediction(NamedTuple):
    """An object of a slot by name, `exact(scene, path)`, and a wrong one as control.

    `candidates` are the numbers of them at which the loss is asked, none where the laboratory's is as good as any; from
    several the limit of infinitely many is extrapolated. `dim` is that of the actions.
    """

    slot: str
    name: str
    exact: Callable
    control: Callable
    candidates: tuple[int, ...] = ()
    dim: int = 2


def predictions(node: Node) -> list[Prediction]:
    """Everything that is predicted of a node: its actor, and the objects of the data that it trains beside it."""
    found = (predicted(node), _behaviour(node), _critic(node), _state_value(node), _step_value(node), _energy(node))
    return [prediction for prediction in found if prediction]


def _behaviour(node: Node) -> Prediction | None:
    if "behaviour" not in trains(node):
        return None
    return Prediction("behaviour", "field of the data", exact.behaviour, _elsewhere)


def _critic(node: Node) -> Prediction | None:
    if "critic" not in trains(node) or node["critic-output"] == "gaussian-huber":
        return None  # an error that grows linearly rests at no mean
    hyper = laboratory_hyper(node)
    return Prediction("critic", CRITIC, *(critic_oracles.exact(node, hyper, wrong) for wrong in (False, True)))


def _elsewhere(scene, path):
    """The field of another law than that of the data."""
    return lab.exact_eps(lab.law(scene, "averaged"), path)


def _state_value(node: Node) -> Prediction | None:
    """State values of data actions, or of the actions of fresh roll-outs; a clipped error rests at neither mean."""
    if "value" in trains(node) and node["critic"] == "advantage":
        if laboratory_hyper(node).get("value_clip"):
            return None
        if node["setting"] == "on-policy":
            fresh = lambda over: partial(chain_oracles.return_value, setting(node), over=over)  # noqa: E731
            return Prediction("value", RETURNS, fresh(jnp.mean), fresh(jnp.min))
        mean = lambda level: partial(oracles.state_value, oracles.expectile, level, "critic", over=jnp.mean)  # noqa: E731
        return Prediction("value", RETURNS, mean(0.5), mean(0.8))
    if "value" not in trains(node) or node["critic"] not in oracles.SLOPES:
        return None
    hyper = laboratory_hyper(node)
    slope, name = oracles.SLOPES[node["critic"]]
    parameter = hyper.get(f"value_{name}") or hyper[name]
    critic = "critic" if hyper.get("value_critic") == "online" else "target_critic"
    law = lambda given: partial(oracles.state_value, slope, given, critic)  # noqa: E731
    wrong = 0.5 if name == "expectile" else COLDER * parameter
    return Prediction("value", f"{node['critic']} value of the {critic}", law(parameter), law(wrong))


def _step_value(node: Node) -> Prediction | None:
    """Values of single steps towards the data's, and of the noises of a frozen flow."""
    if "step_critic" not in trains(node):
        return None
    hyper, levels = laboratory_hyper(node), grid(node["path"])
    if node["space"] == "latent":
        law = lambda critic: partial(chain_oracles.latent_value, critic, levels)  # noqa: E731
        return Prediction("step_critic", "value of a noise's action", law("critic"), law("target_critic"))
    if (node["reference"], node["backup-aggregation"], node["sampler"]) != ("fixed", "lcb", "forward-variance"):
        return None
    step = lambda scale: partial(  # noqa: E731
        chain_oracles.step_value, scale * hyper["temperature"], hyper["pessimism"], hyper["step_samples"], levels
    )
    return Prediction("step_critic", "expected value of a step", step(1.0), step(COLDER))


def _energy(node: Node) -> Prediction | None:
    """Energies of data actions, or of actions of the current flow.

    An average over noised copies is asked of one copy, which has the same expectation and costs least.
    """
    hyper = laboratory_hyper(node)
    critic = "target_critic" if hyper.get("actor_critic") == "target" else "critic"
    if (node["energy"], node["energy-weight"], node["aggregation"], node["sampler"]) == FLOWING:
        levels = grid(node["path"])
        law = lambda scale: partial(  # noqa: E731
            chain_oracles.contrastive_energy, scale * hyper["temperature"], critic, levels
        )
        name = f"posterior {node['energy-weight']} weight of flowed actions of the {critic}"
        return Prediction("energy", name, law(1.0), law(COLDER), CANDIDATES, dim=1)
    if node["energy"] == "squared" and node["energy-weight"] == "exponential" and node["aggregation"] in OVER_HEADS:
        over = OVER_HEADS[node["aggregation"]]
        mean = lambda scale: partial(oracles.mean_energy, scale * hyper["temperature"], critic, over=over)  # noqa: E731
        return Prediction("energy", f"posterior mean of the {critic}", mean(1.0), mean(COLDER))
    if node["energy"] != "linex" or node["aggregation"] != "min":
        return None
    law = lambda scale: partial(oracles.energy, oracles.weight(node["energy-weight"], hyper, scale), critic)  # noqa: E731
    name = f"posterior {node['energy-weight']} weight of the {critic}"
    return Prediction("energy", name, law(1.0), law(COLDER), (1,))


def trains(node: Node) -> Mapping[str, str]:
    return compose.of_node(node, hyper=laboratory_hyper(node)).trains


def predicted(node: Node) -> Prediction | None:
    """The field at which the node's actor loss should rest, by its coordinates; None where no quadrature gives it.

    Not covered: policies that are trained through their samples (pathwise, ratios), regressions on samples of the
    previous policy, whose law is that of a chain and not of its field, and gradients that a batch statistic divides;
    nor, for their cost, losses that start from executed actions, several chains of quadratures for each state: they
    rest where those from single samples do.
    """
    hyper = laboratory_hyper(node)
    critic = "target_critic" if hyper.get("actor_critic") == "target" else "critic"
    if node["policy"] != "field":
        return None
    if node["route"] in INFERENCE and node["reference"] == "fixed":
        return Prediction(
            "actor", "field of the data", exact.behaviour, partial(exact.naive, 1.0, critic, "fixed", True, False)
        )
    if node["normaliser"] not in ("none", "mean-abs-q") or node["source"] == "executed":
        return None
    if node["intermediate-value"] == "soft" and node["reference"] == "uniform" and node["aggregation"] == "min":
        law = lambda scale: partial(exact.boltzmann, scale * hyper["temperature"], critic)  # noqa: E731
        counts = MANY if hyper.get("control_variate") == "estimated" else CANDIDATES
        return Prediction("actor", f"Boltzmann field of the {critic}", law(1.0), law(COLDER), counts)
    if node["intermediate-value"] == "naive" and node["aggregation"] == "mean":
        scaled, normalised = node["guidance-scale"] == "score", node["normaliser"] == "mean-abs-q"
        law = lambda scale: partial(  # noqa: E731
            exact.naive, scale * hyper["temperature"], critic, node["reference"], scaled, normalised
        )
        return Prediction("actor", f"naive field, reference {node['reference']}", law(1.0), law(COLDER))
    return None
