"""Stationarity: is a published actor loss at rest where its card says it ends?

The policy is put on the exact field that the coordinates predict; the expected gradient must vanish there, relative to
its size at the laboratory's policy, in every block. An estimator with finitely many candidates is at rest only in the
limit: there the gradients at several numbers of candidates are extrapolated. Two methods at rest at one field have the
same target field.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from flowrl_kb.certify import exact, subject
from flowrl_kb.certify.compare import LOOKS, MARGIN, WIDE, Comparison, references, residual_test
from flowrl_kb.certify.features import BINS, block_name
from flowrl_kb.certify.fingerprint import Fingerprint
from flowrl_kb.certify.moments import Moments
from flowrl_kb.certify.store import kept, made_from
from flowrl_kb.certify.subject import laboratory_hyper
from flowrl_kb.compose import INFERENCE
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node

CANDIDATES = (8, 16, 32, 64)
"""Numbers of candidates from which a limit is extrapolated, with terms in 1/K and 1/K^2."""
AT, AT_LIMITS = LOOKS[1:3], LOOKS[1:2]
"""Looks at a field, and at the several numbers of candidates of a limit; the error rates are those of five looks."""
COLDER = 1.5
"""The negative control predicts a field whose temperature is larger by this factor (plain cloning: a field of another
law)."""


class Prediction(NamedTuple):
    """A field by name, `field(scene, path)`, a wrong one as control, and whether it is reached only in the limit."""

    name: str
    field: Callable
    control: Callable
    limit: bool = False


def predicted(node: Node) -> Prediction | None:
    """The field at which the node's actor loss should rest, by its coordinates; None where no quadrature gives it.

    Not covered: policies that are trained through their samples (pathwise, ratios), and regressions on samples of the
    previous policy, whose law is that of a chain and not of its field.
    """
    hyper = laboratory_hyper(node)
    critic = "target_critic" if hyper.get("actor_critic") == "target" else "critic"
    if node["policy"] != "field":
        return None
    if node["route"] in INFERENCE and node["reference"] == "fixed":
        return Prediction("field of the data", exact.behaviour, partial(exact.naive, 1.0, critic, "fixed", True, False))
    if node["intermediate-value"] == "soft" and node["reference"] == "uniform" and node["aggregation"] == "min":
        law = lambda scale: partial(exact.boltzmann, scale * hyper["temperature"], critic)  # noqa: E731
        return Prediction(f"Boltzmann field of the {critic}", law(1.0), law(COLDER), limit=True)
    if node["intermediate-value"] == "naive" and node["aggregation"] == "mean":
        scaled, normalised = node["guidance-scale"] == "score", node["normaliser"] == "mean-abs-q"
        law = lambda scale: partial(  # noqa: E731
            exact.naive, scale * hyper["temperature"], critic, node["reference"], scaled, normalised
        )
        return Prediction(f"naive field, reference {node['reference']}", law(1.0), law(COLDER))
    return None


def tested(node: Node, name: str, field: Callable, candidates: tuple[int, ...]) -> tuple[Comparison, dict[str, float]]:
    """`rest` at one look after the other, until it is decided or the looks are used up."""
    for n in AT_LIMITS if candidates else AT:
        result, found = rest(node, name, field, candidates, n)
        if result.verdict != "undecided":
            break
    return result, found


def _at(node: Node, name: str, field: Callable, counts: tuple[int, ...]) -> list[Fingerprint]:
    """The actor's updates at a field, one for each number of candidates; none keeps the laboratory's."""
    hyper = laboratory_hyper(node)
    at = (name, lambda scene, path: field(scene, path))
    return [subject.fingerprint(node, "actor", hyper={**hyper, "candidates": k}, at=at) for k in _counts(node, counts)]


def _counts(node: Node, candidates: tuple[int, ...]) -> tuple[int | None, ...]:
    return candidates or (laboratory_hyper(node).get("candidates"),)


def _extrapolated(points: list[Moments], counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares intercept of r0 + r1/K + r2/K^2 and its covariance, from independent samples."""
    h = 1.0 / np.array(counts, float)
    weight = np.linalg.pinv(np.stack([np.ones_like(h), h, h**2], axis=1))[0]
    mean = sum(w * p.mean for w, p in zip(weight, points, strict=True))
    covariance = sum(w**2 * p.of_mean for w, p in zip(weight, points, strict=True))
    return mean, covariance


def rest(
    node: Node, name: str, field: Callable, candidates: tuple[int, ...], n: int
) -> tuple[Comparison, dict[str, float]]:
    """Test that the actor's update vanishes at a field; also the worst residual at each number of candidates.

    Several numbers of candidates are extrapolated to infinitely many; none keeps the laboratory's.
    """
    reference, _ = references(subject.fingerprint(node, "actor").take(LOOKS[1]), BINS)
    counts = _counts(node, candidates)
    points = [made.take(n) for made in _at(node, name, field, candidates)]
    found = {
        str(k): round(residual_test(p.mean, p.of_mean, reference, MARGIN).residual, 4)
        for k, p in zip(counts, points, strict=True)
    }
    mean, covariance = points[0].mean, points[0].of_mean
    if len(points) > 1:
        mean, covariance = _extrapolated(points, counts)
    result = residual_test(mean, covariance, reference, MARGIN)
    if result.verdict == "undecided":
        wide = residual_test(mean, covariance, reference, WIDE)
        result = wide if wide.verdict == "equal" else result
    return result, found


def certify(node: Node, stored: Iterable[dict[str, Any]] = ()) -> dict[str, Any] | None:
    """The stationarity certificate of one node with its negative control, or None where no field is predicted.

    What `stored` holds of the same programs is not measured again.
    """
    prediction = predicted(node)
    if prediction is None:
        return None
    asked = (prediction.name, prediction.field, CANDIDATES * prediction.limit)
    wrong = (f"control of {prediction.name}", prediction.control, CANDIDATES[-1:] * prediction.limit)
    key = {"method": node.id, "slot": "actor", "level": "same-target-field", "field": prediction.name}
    updates = (subject.fingerprint(node, "actor"), *_at(node, *asked), *_at(node, *wrong))
    key["made_from"] = made_from(*updates, more=(sys.modules[__name__],))
    if same := kept(stored, key):
        return same
    result, points = tested(node, *asked)
    control, _ = tested(node, *wrong)
    scene, block = result.worst
    verdict = {"equal": "stationary", "different": "moving"}.get(result.verdict, result.verdict)
    if prediction.limit and verdict == "moving":
        verdict = "undecided"  # an intercept away from zero may be the fault of the terms that were extrapolated
    return {
        **key,
        "verdict": verdict,
        "worst_residual": round(result.residual, 4),
        "upper_bound": round(result.bound, 4),
        "margin": result.margin,
        "where": f"scenario {scene + 1}, {block_name('field', block)}",
        "candidates": points if prediction.limit else {},
        "control": {
            "verdict": "moving" if control.verdict == "different" else control.verdict,
            "worst_residual": round(control.residual, 4),
        },
    }


def shared_targets(kb: KB, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Pairs of methods that rest at one and the same field, and not merely at the field of plain cloning.

    Methods that read different critics rest at fields of one formula; the pair then keeps the assumption that both read
    the same critic.
    """
    at_rest = [row for row in rows if row["verdict"] == "stationary"]
    for one, other in combinations(at_rest, 2):
        a, b = kb.nodes[one["method"]], kb.nodes[other["method"]]
        kinds = [row["field"].split(" of the ")[0] for row in (one, other)]
        if kinds[0] != kinds[1] or predicted(a).limit is False:
            continue
        assumptions = ["infinitely many candidates", "equal temperature"]
        if one["field"] != other["field"]:
            assumptions.append("both read the same critic")
        yield {
            "a": a.id,
            "b": b.id,
            "slot": "actor",
            "level": "same-target-field",
            "verdict": "equal",
            "worst_residual": max(one["worst_residual"], other["worst_residual"]),
            "upper_bound": max(one["upper_bound"], other["upper_bound"]),
            "margin": max(one["margin"], other["margin"]),
            "where": "both at rest at the extrapolated limit",
            "assumptions": assumptions,
        }
