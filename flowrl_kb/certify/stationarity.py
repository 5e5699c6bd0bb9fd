"""Stationarity: is a published loss at rest where its card says it ends?

The trained object (the policy, a behaviour model, a state value, an energy) is put on the exact one that the
coordinates predict; the expected gradient must vanish there, relative to its size at the laboratory's object, in every
block. An estimator with finitely many candidates is at rest only in the limit: there the gradients at several numbers
of candidates are extrapolated. What follows for pairs stands in `targets`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from flowrl_kb import compose
from flowrl_kb.certify import backup_oracles, chain_oracles, critic_oracles, exact, oracles, resting, subject
from flowrl_kb.certify.compare import LOOKS, MARGIN, WIDE, Comparison, references, residual_test
from flowrl_kb.certify.features import block_name
from flowrl_kb.certify.fingerprint import Fingerprint
from flowrl_kb.certify.moments import Moments
from flowrl_kb.certify.resting import Prediction, predictions, trains
from flowrl_kb.certify.store import kept, made_from, modules_hash
from flowrl_kb.certify.subject import laboratory_hyper
from flowrl_kb.kb.nodes import Node

ORACLES = (exact, oracles, chain_oracles, backup_oracles, critic_oracles, resting)
"""What makes the objects; a fingerprint at one of them must not be found again under an older formula of it."""
AT = LOOKS[1:3]
"""Looks at an object; the error rates are those of five looks."""
Asked = tuple[str, str, Callable, tuple[int, ...], int]
"""Slot, name, `exact`, `candidates` and `dim` of a prediction."""


def tested(node: Node, asked: Asked) -> tuple[Comparison, dict[str, float]]:
    """`rest` at one look after the other, until it is decided or the looks are used up."""
    for n in AT:
        result, found = rest(node, asked, n)
        if result.verdict != "undecided":
            break
    return result, found


def _at(node: Node, asked: Asked) -> list[Fingerprint]:
    """The slot's updates at the object, one for each number of candidates."""
    hyper, (slot, name, there, counts, dim) = laboratory_hyper(node), asked
    at = (f"{name} {modules_hash(*ORACLES)}", lambda scene, path: there(scene, path))
    hypers = ({**hyper, "candidates": k} for k in _counts(node, counts))
    return [subject.fingerprint(node, slot, hyper=given, at=at, dim=dim) for given in hypers]


def _counts(node: Node, candidates: tuple[int, ...]) -> tuple[int | None, ...]:
    return candidates or (laboratory_hyper(node).get("candidates"),)


def _extrapolated(points: list[Moments], counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares intercept of r0 + r1/K + r2/K^2 and its covariance, from independent samples."""
    h = 1.0 / np.array(counts, float)
    weight = np.linalg.pinv(np.stack([np.ones_like(h), h, h**2], axis=1))[0]
    mean = sum(w * p.mean for w, p in zip(weight, points, strict=True))
    covariance = sum(w**2 * p.of_mean for w, p in zip(weight, points, strict=True))
    return mean, covariance


def rest(node: Node, asked: Asked, n: int) -> tuple[Comparison, dict[str, float]]:
    """Test that a slot's update vanishes at an object; also the worst residual at each number of candidates.

    Several numbers of candidates are extrapolated to infinitely many.
    """
    slot, _, _, candidates, dim = asked
    method = compose.of_node(node, hyper=laboratory_hyper(node))
    reference, _ = references(subject.fingerprint(node, slot, dim=dim).take(LOOKS[1]), subject.rows(method, slot, dim))
    counts = _counts(node, candidates)
    points = [made.take(n) for made in _at(node, asked)]
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


def within(result: Comparison, control: Comparison) -> bool:
    """Whether an extrapolated gradient stays within its margin, and the same margin tells the control.

    Terms that were not extrapolated leave an intercept that is never zero, so that a limit is not asked to be.
    """
    return result.bound < result.margin < control.residual


def certify(node: Node, stored: Iterable[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """The stationarity certificates of one node, each with its negative control.

    What `stored` holds of the same programs is not measured again.
    """
    return [_certified(node, prediction, stored) for prediction in predictions(node)]


def _certified(node: Node, prediction: Prediction, stored: Iterable[dict[str, Any]]) -> dict[str, Any]:
    slot, name = prediction.slot, prediction.name
    asked = (slot, name, prediction.exact, prediction.candidates, prediction.dim)
    wrong = (slot, f"control of {name}", prediction.control, prediction.candidates[-1:], prediction.dim)
    limit = len(prediction.candidates) > 1
    key = {"method": node.id, "slot": slot, "level": "same-target-field", "field": name}
    updates = (subject.fingerprint(node, slot, dim=prediction.dim), *_at(node, asked), *_at(node, wrong))
    key["made_from"] = made_from(*updates, more=(sys.modules[__name__],))
    if same := kept(stored, key):
        return same
    result, points = tested(node, asked)
    control, _ = tested(node, wrong)
    scene, block = result.worst
    verdict = {"equal": "stationary", "different": "moving"}.get(result.verdict, result.verdict)
    if limit and verdict == "moving":
        verdict = "stationary" if within(result, control) else "undecided"
    return {
        **key,
        "verdict": verdict,
        "worst_residual": round(result.residual, 4),
        "upper_bound": round(result.bound, 4),
        "margin": result.margin,
        "where": f"scenario {scene + 1}, {block_name(trains(node)[slot], block)}",
        "candidates": points if limit else {},
        "control": {
            "verdict": "moving" if control.verdict == "different" else control.verdict,
            "worst_residual": round(control.residual, 4),
        },
    }
