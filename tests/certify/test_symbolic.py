"""Schedules, weights and coefficients of the parts against expressions that SymPy derives from first principles.

The symbolic side knows only x = alpha a + sigma eps, Gaussian densities and the definition of a prediction; it never
reads the formulas of the parts. Every comparison has a wrong variant that must fail.
"""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from flowrl_kb.parts import loss_space, operator, prediction, sampler
from flowrl_kb.parts import path as paths
from flowrl_kb.parts.policy import Field
from flowrl_kb.published import dppo

T = sp.symbols("t", positive=True)
SCHEDULES = {
    "vp": (sp.cos(sp.pi * T / 2), sp.sin(sp.pi * T / 2)),
    "linear": (1 - T, T),
    "ve": (sp.Integer(1), T),
}
LEVELS = np.array([0.15, 0.4, 0.8])
CLOSE = dict(rel=2e-5, abs=2e-6)
"""Single precision on the side of the parts."""


def at(expression, values=LEVELS) -> np.ndarray:
    return np.array([float(expression.subs(T, v)) for v in values])


def far(found, wrong) -> bool:
    return bool(np.max(np.abs(np.asarray(found) - wrong) / (1 + np.abs(wrong))) > 1e-2)


def solve_pair(name: str, kind: str):
    """Clean action and noise for a network output, solved from the path and the definition of the prediction."""
    alpha, sigma = SCHEDULES[name]
    a, eps, x, out = sp.symbols("a epsilon x out", real=True)
    means = {
        "eps": eps,
        "x0": a,
        "velocity": sp.diff(alpha, T) * a + sp.diff(sigma, T) * eps,
        "score": sp.diff(-((x - alpha * a) ** 2) / (2 * sigma**2), x).subs(x, alpha * a + sigma * eps),
    }
    found = sp.solve([x - alpha * a - sigma * eps, out - means[kind]], [a, eps], dict=True)
    return found[0][a], found[0][eps], x, out


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", ["x0", "velocity", "score"])
def test_loss_spaces_are_the_derivatives_of_their_predictions(name, kind):
    """An error d in the noise is an error (d out / d eps) d in another prediction, at a fixed noisy action."""
    _, eps, _, out = solve_pair(name, kind)
    weight = sp.diff(eps, out) ** -2
    found = getattr(loss_space, kind)(getattr(paths, name)(), jnp.asarray(LEVELS))
    assert found == pytest.approx(at(weight), **CLOSE)
    assert far(found, at(weight / SCHEDULES[name][0] if name != "ve" else weight * T))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", ["eps", "x0", "velocity", "score"])
def test_predictions_invert_their_definitions(name, kind):
    action, noise, x, out = solve_pair(name, kind)
    values = {x: 0.7, out: -0.4}
    path, t = getattr(paths, name)(), jnp.asarray(LEVELS)
    found = getattr(prediction, kind)(path, jnp.full((3, 1), -0.4), jnp.full((3, 1), 0.7), t)
    for got, expected in zip(found, (action, noise), strict=True):
        assert np.asarray(got)[:, 0] == pytest.approx(at(expected.subs(values)), **CLOSE)
    wrong = solve_pair(name, {"eps": "x0", "x0": "eps", "velocity": "score", "score": "velocity"}[kind])
    assert far(np.asarray(found[1])[:, 0], at(wrong[1].subs({wrong[2]: 0.7, wrong[3]: -0.4})))


def test_the_denoiser_depends_on_the_ratio_of_noise_to_signal_only():
    """E02 for a Gaussian action law, where the posterior mean follows by conditioning."""
    m, v, y, r = sp.symbols("m v y r", positive=True)

    def posterior_mean(alpha, sigma):
        x = alpha * y
        return sp.simplify(m + alpha * v / (alpha**2 * v + sigma**2) * (x - alpha * m))

    first, second = (posterior_mean(a, r * a) for a in (1 / sp.sqrt(1 + r**2), 1 / (1 + r)))
    assert sp.simplify(first - second) == 0
    assert sp.simplify(first - posterior_mean(sp.Integer(1), r)) == 0
    assert sp.simplify(first - posterior_mean(sp.Integer(1), r**2)) != 0


def conditioned(name: str, t: float, u: float):
    """Mean and variance of x_u given x_t and the clean action, by conditioning the joint Gaussian of the chain."""
    alpha, sigma = SCHEDULES[name]
    a_t, s_t, a_u, s_u = (sp.nsimplify(e.subs(T, v)) for v in (t, u) for e in (alpha, sigma))
    a, x = sp.symbols("a x", real=True)
    ratio = a_t / a_u
    cov = sp.Matrix([[s_u**2, ratio * s_u**2], [ratio * s_u**2, s_t**2]])  # of (x_u, x_t) given a
    gain = cov[0, 1] / cov[1, 1]
    return sp.expand(a_u * a + gain * (x - a_t * a)), cov[0, 0] - gain * cov[0, 1], a, x


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("levels", [(0.8, 0.4), (0.4, 0.15)])
@pytest.mark.parametrize("transition", [sampler.ancestral, dppo.transition], ids=["part", "published"])
def test_ancestral_steps_are_conditional_gaussians(name, levels, transition):
    mean, variance, a, x = conditioned(name, *levels)
    values = {a: 0.3, x: 1.1}
    alpha, sigma = (float(e.subs(T, levels[0])) for e in SCHEDULES[name])
    field = Field(
        lambda y, t, s: jnp.full_like(y, (1.1 - alpha * 0.3) / sigma),
        getattr(paths, name)(),
        jnp.asarray(levels),
        1,
        min_std=0.0,
    )
    found_mean, found_std = transition(field, jnp.full((1, 1), 1.1), 0, jnp.zeros((1, 1)))
    assert float(found_mean[0, 0]) == pytest.approx(float(mean.subs(values)), **CLOSE)
    assert float(jnp.ravel(found_std)[0]) ** 2 == pytest.approx(float(variance), **CLOSE)
    step_variance = float(SCHEDULES[name][1].subs(T, levels[0])) ** 2 - float(
        (SCHEDULES[name][0].subs(T, levels[0]) / SCHEDULES[name][0].subs(T, levels[1])) ** 2
        * SCHEDULES[name][1].subs(T, levels[1]) ** 2
    )
    assert far(float(jnp.ravel(found_std)[0]) ** 2, step_variance), "beta in place of the posterior variance"


def test_the_last_ancestral_step_returns_the_denoised_action():
    """The limit of the conditional Gaussian at the clean level; E19 rests on it."""
    a_t, s_t, s_u, a, x = sp.symbols("alpha_t sigma_t sigma_u a x", positive=True)
    a_u = sp.sqrt(1 - s_u**2)
    gain = a_t / a_u * s_u**2 / s_t**2
    assert sp.limit(a_u * a + gain * (x - a_t * a), s_u, 0) == a
    assert sp.limit(s_u**2 - gain * a_t / a_u * s_u**2, s_u, 0) == 0
    field = Field(lambda y, t, s: 0.2 * y, paths.vp(), jnp.array([0.5, 0.0]), 1, min_std=0.0)
    y = jnp.array([[0.9]])
    mean, std = sampler.ancestral(field, y, 0, jnp.zeros((1, 1)))
    alpha, sigma = (float(e.subs(T, 0.5)) for e in SCHEDULES["vp"])
    assert float(mean[0, 0]) == pytest.approx((0.9 - sigma * 0.18) / alpha, rel=1e-5)
    assert float(std[0, 0]) == 0.0
    assert far(float(mean[0, 0]), 0.9), "the noisy action itself"


def observed_widths(steps: int) -> np.ndarray:
    """What a large ratio with advantage one is cut to, minus one."""
    surrogate = operator.trust_region(clip=0.2, clip_base=0.01, clip_rate=3.0).surrogate
    return np.asarray(surrogate(jnp.full((steps, 1), 2.0), jnp.ones((steps, 1))))[:, 0] - 1.0


@pytest.mark.parametrize("steps", [2, 5])
def test_the_clip_schedule_grows_exponentially_from_base_to_clip(steps):
    """Solution of w'' = (r / (K - 1)) w' through its two endpoints."""
    k, rate, base, clip = sp.symbols("k r b c", positive=True)
    one, other = sp.symbols("one other")
    general = one + other * sp.exp(rate * k / (steps - 1))
    assert sp.simplify(general.diff(k, 2) - rate / (steps - 1) * general.diff(k)) == 0
    ends = sp.solve([general.subs(k, 0) - base, general.subs(k, steps - 1) - clip], [one, other], dict=True)[0]
    width = general.subs(ends).subs({rate: 3.0, base: 0.01, clip: 0.2})
    expected = np.array([float(width.subs(k, i)) for i in range(steps)])
    assert observed_widths(steps) == pytest.approx(expected, abs=2e-6)
    assert expected[[0, -1]] == pytest.approx([0.01, 0.2])
    if steps > 2:
        assert far(observed_widths(steps), np.linspace(0.01, 0.2, steps)), "a straight line"
