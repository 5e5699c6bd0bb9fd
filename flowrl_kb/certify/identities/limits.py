"""Limits of a parameter, with their order: where one method becomes another and how fast."""

from __future__ import annotations

import numpy as np

from flowrl_kb.certify.identities import laws
from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.operators import simplex
from flowrl_kb.certify.identities.registry import identity


@identity(tolerance=0.1, control=1.0)
def flat_previous_policy() -> tuple[float, float]:
    """One mirror-descent step from a wide previous policy fits the Boltzmann field, with error of order width^-2.

    Weighted denoising of N(0, w^2), by a posterior over actions, against candidates drawn around the noisy input, by
    Gauss-Hermite sums over their noises; ratio of the errors at w = 8 and 16, which tends to 4. Control: two steps,
    whose error stays. Source: taxonomy note E04, E15.
    """
    node, weight = p.hermite(120)
    candidates = (p.POINTS[:, None] - p.SIGMA * node) / p.ALPHA
    w = weight * np.exp((p.q(candidates) - p.q(candidates).max()) / p.LAMBDA)
    reverse = (w * node).sum(1) / w.sum(1)

    def error(width: float, steps: int) -> float:
        law = steps * p.q(p.GRID) / p.LAMBDA + p.log_normal(p.GRID, 0.0, width)
        mean = p.posterior(law, p.POINTS, p.ALPHA, p.SIGMA) @ p.GRID
        return p.gap((p.POINTS - p.ALPHA * mean) / p.SIGMA, reverse)

    return abs(error(8.0, 1) / error(16.0, 1) - 4), abs(error(8.0, 2) / error(16.0, 2) - 4)


@identity(tolerance=3e-2, control=0.5)
def support_set_grows() -> tuple[float, float]:
    """A support set of one data action and M previous ones has the tilted previous law as its limit, at rate 1/M.

    The law of the chosen action for finite M is exact by Laplace transforms; ratio of its distances at M = 256 and
    512, which tends to 2. Control: distance to the tilted data law, whose ratio tends to 1. Source: own derivation.
    """
    grid = p.GRID[::20]
    data, previous = p.mass(p.log_normal(grid, -0.8, 0.5)), p.mass(p.log_reference(grid))
    weight = np.exp((p.q(grid) - p.q(grid).max()) / p.LAMBDA)

    def chosen(m: int) -> np.ndarray:
        u, du = laws.half_line()
        scale = m * float(previous @ weight)
        kernel, du = np.exp(-np.outer(u / scale, weight)), du / scale
        of_data, of_previous = kernel @ data, kernel @ previous
        alone = kernel.T @ (of_previous**m * du)
        joined = kernel.T @ (of_data * of_previous ** (m - 1) * du)
        return weight * (data * alone + m * previous * joined)

    def ratio(reference: np.ndarray) -> float:
        tilt = laws.exponential(reference, p.q(grid), p.LAMBDA)
        return laws.variation(chosen(256), tilt) / laws.variation(chosen(512), tilt)

    return abs(ratio(previous) - 2), abs(ratio(data) - 2)


@identity(tolerance=1e-4)
def first_order_tilt() -> tuple[float, float]:
    """At small strength the exponential, affine and reciprocal laws move the reference by nu (Q - V) / lambda.

    lambda (pi - nu) at lambda = 1000 and 2000, extrapolated, against nu (Q - V). Control: the best of two at its best
    scale, which depends on the rank of Q only. Source: taxonomy note E34.
    """
    nu, q = simplex()
    expected = nu * (q - nu @ q)
    error = 0.0
    for law in (laws.exponential, laws.linear, laws.reciprocal):
        moved = [lam * (law(nu, q, lam) - nu) for lam in (1000.0, 2000.0)]
        error = max(error, p.gap(2 * moved[1] - moved[0], expected))
    ranked = laws.best_of(nu, q, 2) - nu
    return error, p.gap(ranked * (ranked @ expected) / (ranked @ ranked), expected)


@identity(tolerance=0.1, control=0.5)
def weighting_to_policy_gradient() -> tuple[float, float]:
    """Denoising a policy's own samples with weights exp(A / lambda) becomes the gradient of -A times the denoising
    loss.

    lambda E[(w - 1)(e - eps) | x] with w = exp(A / lambda) / Z and e the policy's exact field, against sigma d/dx E[A
    | x], which is E[A (e - eps) | x]; ratio of the errors at lambda = 1024 and 2048, which tends to 2. Control: a field
    off by 0.1, whose unweighted part does not vanish. Source: taxonomy note E34, E40.
    """
    own = p.log_reference(p.GRID)
    advantage = p.q(p.GRID) - p.mass(own) @ p.q(p.GRID)
    weights = p.posterior(own, p.POINTS, p.ALPHA, p.SIGMA)
    eps = (p.POINTS[:, None] - p.ALPHA * p.GRID) / p.SIGMA
    field = -p.SIGMA * p.noised_score(own, p.POINTS, p.ALPHA, p.SIGMA)
    exact = p.SIGMA * p.slope(lambda x: p.posterior(own, x, p.ALPHA, p.SIGMA) @ advantage, p.POINTS)

    def error(lam: float, offset: float) -> float:
        w = np.exp(advantage / lam)
        w /= p.mass(own) @ w
        return p.gap(lam * (weights * w * (field[:, None] + offset - eps)).sum(1), exact)

    return abs(error(1024.0, 0.0) / error(2048.0, 0.0) - 2), abs(error(1024.0, 0.1) / error(2048.0, 0.1) - 2)


@identity(tolerance=1e-2, control=0.5)
def reciprocal_to_argmax() -> tuple[float, float]:
    """As its weight vanishes a cloning penalty leaves the mass lambda nu / (max Q - Q) outside the maximiser: order
    one.

    Reciprocal law at lambda = 1e-3, mass outside over lambda, relative to the sum written out. Control: the
    exponential law, whose mass outside vanishes faster than any power. Source: own derivation from taxonomy note
    E03b.
    """
    nu, q = simplex()
    best, lam = q.argmax(), 1e-3
    outside = np.arange(len(q)) != best
    expected = float(np.sum(nu[outside] / (q[best] - q[outside])))
    found = float(laws.reciprocal(nu, q, lam)[outside].sum()) / lam
    tilted = float(laws.exponential(nu, q, lam)[outside].sum()) / lam
    return abs(found / expected - 1), abs(tilted / expected - 1)
