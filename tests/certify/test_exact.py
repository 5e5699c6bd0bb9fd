"""Exact fields against dense quadrature on a grid, which shares nothing with the Gauss-Hermite rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.certify import exact, oracles, presentation, resting, stationarity, subject
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.compare import Comparison
from flowrl_kb.certify.moments import Moments
from flowrl_kb.kb.load import load

KB = load()
SCENE = lab.scenario(2, 0.8, 0.6)
S, X = np.array([0.3, -0.6], np.float32), np.array([0.4, -0.2], np.float32)


def by_grid(temperature, path, t, x=X, head=None):
    """E[eps | x] under exp(Q / lambda) N(x; alpha a, sigma^2) on 801 x 801 actions."""
    axis = np.linspace(-5.0, 5.0, 801)
    a = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    c = SCENE.critic
    centre = c.centre + c.slope @ S
    kernel = np.exp(-0.5 * ((a[:, None] - centre) ** 2).sum(-1) / c.width**2)
    q = kernel @ c.height.T - 0.5 * c.curvature * (a**2).sum(-1, keepdims=True) + a @ c.tilt.T + c.offset
    q = q.min(1) if head is None else q[:, head]
    alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
    eps = (x - alpha * a) / sigma
    log_p = q / temperature - 0.5 * (eps**2).sum(1)
    p = np.exp(log_p - log_p.max())
    return (p[:, None] * eps).sum(0) / p.sum()


@pytest.mark.parametrize("name", ["vp", "linear"])
@pytest.mark.parametrize("snr", [-2.5, 0.0, 3.0])
def test_the_boltzmann_field_is_the_posterior_mean_on_a_grid(name, snr):
    path = presentation.lab_path(name)
    t = jnp.asarray(presentation._LEVEL_OF[name](jnp.asarray(snr)))
    got = exact.boltzmann(0.5, "critic", SCENE, path)(jnp.asarray(X), t, jnp.asarray(S))
    tolerance = 8e-3 if snr == 0 else 2e-3  # the kink of the smaller head matters most in between, see exact.NODES
    np.testing.assert_allclose(got, by_grid(0.5, path, t), atol=tolerance)
    assert np.abs(got - by_grid(0.75, path, t)).max() > 2 * tolerance, "another temperature would pass as well"
    if snr >= 0:  # closer to pure noise the field hardly depends on the head
        assert np.abs(got - by_grid(0.5, path, t, head=0)).max() > 2 * tolerance, "one head alone would pass as well"


def test_the_naive_field_follows_finite_differences_of_the_mean_head():
    path, t, step = presentation.lab_path("vp"), jnp.asarray(0.4), 1e-2
    heads = lab.q_heads(SCENE.critic)
    slope = []
    for i in range(2):
        e = step * np.eye(2, dtype=np.float32)[i]
        up, down = (float(jnp.mean(heads(jnp.asarray(S), jnp.asarray(X + k * e)))) for k in (1.0, -1.0))
        slope.append((up - down) / (2 * step))
    got = exact.naive(0.5, "critic", "uniform", True, False, SCENE, path)(jnp.asarray(X), t, jnp.asarray(S))
    np.testing.assert_allclose(got, -float(path.sigma(t)) * np.array(slope) / 0.5, atol=2e-3)


def test_predictions_follow_coordinates_and_not_names():
    named = {id: resting.predicted(KB.nodes[id]) for id in KB.cards}
    assert named["sdac"].candidates == named["idem"].candidates == resting.CANDIDATES
    assert named["rfm"].candidates == resting.MANY, "its control variate is estimated from the candidates"
    assert named["sdac"].name.startswith("Boltzmann") and named["qsm"].name == "naive field, reference uniform"
    assert named["dac"].name == "naive field, reference fixed" and named["idql"].name == "field of the data"
    assert resting.predicted(KB.nodes["qsm:flow-rl"]) is None, "its gradient is divided by its own size"
    assert all(named[id] is None for id in ("dql", "dppo", "fpo", "fql", "sac", "ppo", "dpmd", "qipo"))


def test_the_intercept_of_a_known_curve_is_found():
    counts = resting.CANDIDATES
    truth = lambda k: 0.3 + 2.0 / k - 5.0 / k**2  # noqa: E731
    points = [Moments(1, np.full((1, 1, 1), truth(k)), np.full((1, 1, 1, 1), 1e-6)) for k in counts]
    mean, covariance = stationarity._extrapolated(points, counts)
    assert abs(mean.item() - 0.3) < 1e-9 and covariance.item() > 1e-6


def test_a_limit_within_its_margin_is_at_rest_only_if_the_margin_tells_the_control():
    """RFM, flow-rl's SDAC and a limit that is measurably out of its margin."""
    of = lambda residual, bound: Comparison("different", 0.02, residual, bound, 1.0, 1.0, 1, (0, 0), 1.0)  # noqa: E731
    assert stationarity.within(of(0.013, 0.019), of(0.31, 0.33))
    assert not stationarity.within(of(0.008, 0.011), of(0.017, 0.02)), "the control would pass as well"
    assert not stationarity.within(of(0.025, 0.03), of(0.31, 0.33))


def test_a_loss_moves_at_a_wrong_field_and_rests_at_its_own():
    """QSM is the cheapest: few replicates already separate its own field from one of another temperature."""
    node = KB.nodes["qsm"]
    prediction = resting.predicted(node)
    base = subject.fingerprint(node, "actor").take(64)
    size = np.sqrt(np.sum(base.mean**2))
    own = stationarity._at(node, ("actor", prediction.name, prediction.exact, (), 2))[0].take(64)
    wrong = stationarity._at(node, ("actor", "control", prediction.control, (), 2))[0].take(64)
    assert np.sqrt(np.sum(own.mean**2)) < 1e-4 * size
    assert np.sqrt(np.sum(wrong.mean**2)) > 0.1 * size


def data_actions(n=400_000):
    return np.asarray(lab.draw(lab.law(SCENE, "behaviour"), jax.random.key(3), jnp.broadcast_to(S, (n, 2))))


def test_state_values_are_fixed_points_of_averages_over_data_actions():
    """Against a sample of the data law, whose error of the mean is below a hundredth of every slope's size here."""
    a = jnp.asarray(data_actions())
    q = np.asarray(lab.q_heads(SCENE.target_critic)(jnp.broadcast_to(S, a.shape), a)).min(0)
    for slope, name in oracles.SLOPES.values():
        parameter = 0.8 if name == "expectile" else 0.5
        at = lambda given: float(oracles.state_value(slope, given, "target_critic", SCENE, None)(jnp.asarray(S)))  # noqa: B023, E731
        size = np.abs(slope(q - q.mean(), parameter)).mean()
        assert abs(np.asarray(slope(q - at(parameter), parameter)).mean()) < 0.01 * size, name
        other = at(0.5 if name == "expectile" else 1.5 * parameter)
        assert abs(np.asarray(slope(q - other, parameter)).mean()) > 0.03 * size, name


def test_the_exponential_value_is_the_logarithm_of_an_average():
    a = jnp.asarray(data_actions())
    q = np.asarray(lab.q_heads(SCENE.target_critic)(jnp.broadcast_to(S, a.shape), a)).min(0)
    got = oracles.state_value(oracles.exponential, 0.5, "target_critic", SCENE, None)(jnp.asarray(S))
    np.testing.assert_allclose(got, 0.5 * np.log(np.mean(np.exp(q / 0.5))), atol=5e-3)


@pytest.mark.parametrize("snr", [-2.0, 1.0])
def test_the_energy_is_the_posterior_average_of_weighted_data(snr):
    """Against data actions weighted by the likelihood of the noisy one."""
    path = presentation.lab_path("vp")
    t = jnp.asarray(presentation._LEVEL_OF["vp"](jnp.asarray(snr)))
    a = data_actions()
    q = np.asarray(lab.q_heads(SCENE.critic)(jnp.broadcast_to(S, a.shape), jnp.asarray(a))).min(0)
    alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
    likelihood = np.exp(-0.5 * ((X - alpha * a) ** 2).sum(1) / sigma**2)
    expected = np.log(np.sum(likelihood * np.exp(q / 0.5)) / likelihood.sum())
    weight = oracles.weight("exponential", {"temperature": 0.5})
    got = oracles.energy(weight, "critic", SCENE, path)(jnp.asarray(X), t, jnp.asarray(S))
    np.testing.assert_allclose(got, expected, atol=2e-2)
    assert abs(expected - np.log(np.mean(np.exp(q / 0.5)))) > 0.1, "the average of all data would pass as well"


@pytest.mark.parametrize(("name", "snr"), [("vp", 0.5), ("ve", -1.0)])
def test_a_squared_energy_ends_at_the_posterior_mean_of_the_value(name, snr):
    """Against data actions weighted by the likelihood of the noisy one; the mean of heads and not the smaller one."""
    path = presentation.lab_path(name)
    t = jnp.asarray(presentation._LEVEL_OF[name](jnp.asarray(snr)))
    a = data_actions()
    q = np.asarray(lab.q_heads(SCENE.critic)(jnp.broadcast_to(S, a.shape), jnp.asarray(a)))
    alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
    likelihood = np.exp(-0.5 * ((X - alpha * a) ** 2).sum(1) / sigma**2)
    average = lambda q: np.sum(likelihood * q) / likelihood.sum()  # noqa: E731
    got = oracles.mean_energy(0.5, "critic", SCENE, path)(jnp.asarray(X), t, jnp.asarray(S))
    np.testing.assert_allclose(got, average(q.mean(0)) / 0.5, atol=2e-2)
    assert abs(average(q.mean(0)) - average(q.min(0))) / 0.5 > 0.1, "the smaller head would pass as well"
    assert abs(average(q.mean(0)) - q.mean()) / 0.5 > 0.1, "the average of all data would pass as well"
