"""Witnesses that compare the noise fields which regressions fit, over inputs drawn from the noised target."""

from __future__ import annotations

import numpy as np

from flowrl_kb.certify.identities import problem as p
from flowrl_kb.certify.identities.fields import BOLTZMANN, TILT
from flowrl_kb.certify.identities.maps import proximal

X = np.linspace(-4.0, 4.0, 321)
NOISE = (0.3, 0.6, 0.9)
DATA = np.logaddexp(np.log(0.6) + p.log_normal(p.GRID, -1.0, 0.5), np.log(0.4) + p.log_normal(p.GRID, 1.1, 0.4))


def _field(log_law: np.ndarray) -> np.ndarray:
    """E[eps | x] of a noised law at all levels, by quadrature: (levels, inputs)."""
    rows = []
    for sigma in NOISE:
        alpha = np.sqrt(1 - sigma**2)
        rows.append((X - alpha * (p.posterior(log_law, X, alpha, sigma) @ p.GRID)) / sigma)
    return np.stack(rows)


def _by_score(log_law: np.ndarray) -> np.ndarray:
    """The same field as minus sigma times the score of the noised density, by differences."""
    return np.stack([-s * p.noised_score(log_law, X, np.sqrt(1 - s**2), s) for s in NOISE])


def _inputs(log_law: np.ndarray) -> np.ndarray:
    """Weights of the inputs at each level: the noised law."""
    return np.stack([p.mass(np.log(p.noised(log_law, X, np.sqrt(1 - s**2), s))) for s in NOISE])


def _rms(gap: np.ndarray, weight: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.sum(weight * gap**2, axis=1))))


def _unexplained(shift: np.ndarray, directions: list[np.ndarray], weight: np.ndarray) -> float:
    """Share of `shift` that no multiple of one of the directions reaches: temperatures may be chosen freely."""
    best = np.inf
    for d in directions:
        scale = np.sum(weight * d * shift) / np.sum(weight * d**2)
        best = min(best, _rms(shift - scale * d, weight) / _rms(shift, weight))
    return float(best)


def naive_flat_reference() -> tuple[float, float]:
    """Field of Q's gradient at the noisy action, at its best temperature and either guidance scale, against
    Boltzmann's.

    Control: the posterior average of the gradient. Source: taxonomy note E10, E11, section 7.2.
    """
    exact, weight, sigma = _by_score(BOLTZMANN), _inputs(BOLTZMANN), np.array(NOISE)[:, None]
    naive = np.broadcast_to(p.q_slope(X), exact.shape)
    averaged = np.stack(
        [s / np.sqrt(1 - s**2) * (p.posterior(BOLTZMANN, X, np.sqrt(1 - s**2), s) @ p.q_slope(p.GRID)) for s in NOISE]
    )
    return _unexplained(exact, [naive, sigma * naive], weight), _unexplained(exact, [averaged], weight)


def naive_data_reference() -> tuple[float, float]:
    """Shift of the data's field by Q's gradient at the noisy action, at its best temperature and either scale, against
    the shift to the field of the tilted data.

    Control: the gradient of the soft value. Source: taxonomy note E11.
    """
    law = p.log_reference(p.GRID)
    shift, weight, sigma = _by_score(TILT) - _field(law), _inputs(TILT), np.array(NOISE)[:, None]
    naive = np.broadcast_to(p.q_slope(X), shift.shape)

    def soft(x: np.ndarray, s: float) -> np.ndarray:
        return np.log(p.posterior(law, x, np.sqrt(1 - s**2), s) @ np.exp(p.q(p.GRID) / p.LAMBDA))

    guided = np.stack([-s * p.slope(lambda x, s=s: soft(x, s), X) for s in NOISE])
    return _unexplained(shift, [naive, sigma * naive], weight), _unexplained(shift, [guided], weight)


def filtered_data() -> tuple[float, float]:
    """Shift of the data's field by Q's gradient at the noisy action, at its best temperature and either scale, against
    the shift to the field of the data of at least average Q.

    Control: the gradient of the log probability that a noised action was one of those. Source: own derivation.
    """
    law, q = p.log_reference(p.GRID), p.q(p.GRID)
    good = q >= p.mass(law) @ q
    kept = np.where(good, law, -1e3)
    shift, weight, sigma = _by_score(kept) - _field(law), _inputs(kept), np.array(NOISE)[:, None]
    naive = np.broadcast_to(p.q_slope(X), shift.shape)

    def log_share(x: np.ndarray, s: float) -> np.ndarray:
        return np.log(p.posterior(law, x, np.sqrt(1 - s**2), s) @ good)

    guided = np.stack([-s * p.slope(lambda x, s=s: log_share(x, s), X) for s in NOISE])
    return _unexplained(shift, [naive, sigma * naive], weight), _unexplained(shift, [guided], weight)


def constant_value() -> tuple[float, float]:
    """With a constant Q candidates around the noisy action give no field, and reweighted data give that of the data.

    Root mean square of the difference, relative to the data's field. Control: the data's field by denoising and by its
    score, two routes with one reference.
    """
    node, weight = p.hermite()
    candidates = (weight * np.exp(0 * node)) @ node / weight.sum() * np.ones((len(NOISE), len(X)))
    data, inputs = _field(DATA), _inputs(DATA)
    size = _rms(data, inputs)
    return _rms(candidates - data, inputs) / size, _rms(_by_score(DATA) - data, inputs) / size


def moved_previous_policy() -> tuple[float, float]:
    """With a constant Q the reference alone is left: data, previous policy, or one data action beside one previous one.

    Smallest relative difference of the three fields. Control: the previous policy's field by two routes.
    """
    previous = p.log_reference(p.GRID)
    mixture = np.log(0.5 * p.mass(DATA) + 0.5 * p.mass(previous))
    inputs, size = _inputs(DATA), _rms(_field(DATA), _inputs(DATA))
    data, old, both = _field(DATA), _field(previous), _field(mixture)
    figure = min(_rms(a - b, inputs) for a, b in ((data, old), (data, both), (old, both)))
    return figure / size, _rms(old - _by_score(previous), inputs) / size


def walls_of_a_box() -> tuple[float, float]:
    """Noise and gradient expectations with candidates truncated to [-1, 1]: largest gap for |x| <= 0.5, over the
    largest noise expectation.

    Control: the same on [-6, 6]. Source: taxonomy note E09.
    """

    def apart(half: float) -> float:
        a, x = np.linspace(-half, half, 4001), np.linspace(-0.5, 0.5, 21)
        weight = p.posterior(p.q(a) / p.LAMBDA, x, p.ALPHA, p.SIGMA, a)
        noise = (weight * (x[:, None] - p.ALPHA * a) / p.SIGMA).sum(1)
        gradient = -p.SIGMA / p.ALPHA * (weight @ p.q_slope(a)) / p.LAMBDA
        return p.gap(noise, gradient) / np.abs(noise).max()

    return apart(1.0), apart(6.0)


def pull_at_the_maximiser() -> tuple[float, float]:
    """Where all actions are at the maximiser of Q a greedy update is stationary, and every other one pulls away.

    Smallest pull: root mean square gap between the field of the point mass and the fitted fields (data, tilted data,
    Boltzmann, value gradient at the noisy action with and without data), and the distances of the maximiser to the
    data, to their mean and to the mean of the tilted data. Control: the gradient of Q at its maximiser, found on the
    grid and by Newton steps.
    """
    best = proximal(np.array([0.0]), 0.0)[0]
    sigma = np.array(NOISE)[:, None]
    alpha = np.sqrt(1 - sigma**2)
    point = (X - alpha * best) / sigma
    weight = p.mass(-0.5 * point**2)
    law = p.log_reference(p.GRID)
    naive = -sigma * p.q_slope(X) / p.LAMBDA
    fitted = [_field(law), _field(TILT), _field(BOLTZMANN), naive, -p.q_slope(X) / p.LAMBDA, _field(law) + naive]
    pulls = [_rms(point - field, weight) for field in fitted]
    nu = p.mass(law)
    pulls += [
        float(np.sqrt(nu @ (p.GRID - best) ** 2)),
        abs(float(nu @ p.GRID) - best),
        abs(float(p.mass(TILT) @ p.GRID) - best),
    ]
    return min(pulls), abs(float(p.q_slope(best)))
