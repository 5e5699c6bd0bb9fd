"""One trial of the comparison: a published actor update against a disguise or a change of itself, on fresh streams.

Random coefficients travel beside the scenarios as arrays, so that one compiled program serves all draws of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from benchmarks import changes, copies
from flowrl_kb import compose
from flowrl_kb.certify import laboratory, subject
from flowrl_kb.certify.compare import LOOKS, Growing, best_scale, decide, references
from flowrl_kb.certify.fingerprint import Fingerprint, gradient
from flowrl_kb.certify.moments import Moments
from flowrl_kb.certify.program import Program
from flowrl_kb.kb.load import load
from flowrl_kb.parts.types import Loss

_PROGRAMS: dict[tuple, Program] = {}


@cache
def subject_of(method: str):
    """Node, laboratory hyper-parameters, presentation and rows of a method's actor slot."""
    node = load().nodes[method]
    hyper = subject.laboratory_hyper(node)
    made = compose.published(method, hyper)
    return node, hyper, subject.setting(node), subject.rows(made, "actor"), made.trains["actor"]


def make(method: str) -> Callable[[dict], Loss]:
    """Hyper-parameters to the published actor loss."""
    return lambda hyper: compose.published(method, hyper).losses["actor"]


def stream(method: str, loss_of: Callable, what: tuple, u: Sequence[float], strength: float, label: str) -> Fingerprint:
    """The growing update of the loss `loss_of(u, strength)`, on a key stream that `label` alone determines.

    `what` names the program: streams that share it share its compilation. A `loss_of` that returns several losses gives
    their updates side by side under common keys.
    """
    _, _, shown, _, kind = subject_of(method)

    def replicate(scene_and_numbers, key):
        scene, u, strength = scene_and_numbers
        losses = loss_of(u, strength)
        rows = [gradient(loss, "actor", kind, shown, scene, key) for loss in losses]
        return jnp.concatenate(rows, axis=-1)

    scenes = (laboratory.drifted(), np.tile(np.float32(u), (3, 1)), np.full(3, strength, np.float32))
    program = _PROGRAMS.setdefault((method, *what), Program(lambda: replicate, scenes))
    return Fingerprint(program, scenes, label)


def published(method: str, label: str) -> Fingerprint:
    """The published update."""
    hyper = subject_of(method)[1]
    return stream(method, lambda u, strength: [make(method)(hyper)], ("published",), (0.0, 0.0), 0.0, label)


def disguised(method: str, names: tuple[str, ...], u: Sequence[float], label: str) -> Fingerprint:
    """The published update under the named disguises, the first one innermost."""
    hyper = subject_of(method)[1]

    def loss_of(u, strength):
        return [reduce(lambda loss, name: getattr(copies, name)(loss, u), names, make(method)(hyper))]

    return stream(method, loss_of, ("copy", *names), u, 0.0, label)


def looks(method: str) -> tuple[int, ...]:
    """The looks that a trial may take: as many as the method's own certificate of the actor needed."""
    done = next(c for c in load().verdicts.certificates if (c.method, c.slot) == (method, "actor"))
    return tuple(n for n in LOOKS if n <= done.replicates)


def paired(method: str, name: str, u: Sequence[float], strength: float, label: str) -> Fingerprint:
    """The change at strength zero beside the change, under common keys: their difference has little noise."""
    hyper, change = subject_of(method)[1], getattr(changes, name)
    loss_of = lambda u, strength: [change(make(method), hyper, u, x) for x in (0.0, strength)]  # noqa: E731
    return stream(method, loss_of, ("paired", name), u, strength, label)


class Second:
    """The second half of a paired stream: the change alone, without a program of its own."""

    def __init__(self, pair: Fingerprint):
        self._pair = pair

    def take(self, n: int) -> Moments:
        return halves(self._pair.take(n))[1]


def halves(pair: Moments) -> tuple[Moments, Moments]:
    """The moments of the two updates that a paired stream holds side by side."""
    half = pair.mean.shape[-1] // 2
    parts = (slice(None, half), slice(half, None))
    return tuple(Moments(pair.n, pair.mean[..., p], pair.covariance[..., p, p]) for p in parts)


def effect(pair: Moments, rows: int, level: float = 0.01) -> tuple[float, float]:
    """Largest relative residual of a pair over blocks, and its lower confidence bound, both at the best positive scale.

    |d|^2 - tr V of the paired difference is unbiased; the bound is Bonferroni-corrected over blocks.
    """
    p, c = halves(pair)
    half = p.mean.shape[-1]
    reference, alive = references(p, rows)
    kappa = max(best_scale(p, c, reference, alive), 0.0)
    cross = pair.covariance[..., :half, half:]
    both = p.covariance + kappa**2 * c.covariance - kappa * (cross + np.swapaxes(cross, -1, -2))
    v = both / pair.n
    d = p.mean - kappa * c.mean
    square = np.sum(d**2, -1) - np.trace(v, axis1=-2, axis2=-1)
    along = np.einsum("sbi,sbij,sbj->sb", d, v, d)
    spread = np.sqrt(2.0 * np.sum(v**2, (-2, -1)) + 4.0 * along)
    low = square - norm.isf(level / square.size) * spread
    relative = [np.sqrt(np.maximum(x, 0.0) / reference).max() for x in (square, low)]
    return float(relative[0]), float(relative[1])


def judged(method: str, first: Growing, second: Growing, at: Sequence[int]) -> dict[str, Any]:
    """The decision as certificates make it, at the given looks, as a row."""
    result = decide(first, second, at, subject_of(method)[3])
    return {
        "verdict": result.verdict,
        "margin": result.margin,
        "residual": round(result.residual, 4),
        "bound": round(result.bound, 4),
        "replicates": result.replicates,
    }
