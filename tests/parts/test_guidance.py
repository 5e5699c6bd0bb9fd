"""Energies and guided fields against closed forms and hand-worked numbers."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.parts import aggregation, backup_policy, energy, energy_weight, guidance, normaliser
from flowrl_kb.parts import guidance_scale as scales
from flowrl_kb.parts.path import linear, vp
from flowrl_kb.parts.policy import Field
from flowrl_kb.parts.sampler import posterior_deviation
from flowrl_kb.parts.types import Batch, Models

S = jnp.zeros((4, 1))
PATH = vp()


def field(mean: float = 0.0, path=PATH) -> Field:
    """The noise field of N(mean, 1) on a variance-preserving path."""
    eps = lambda x, t, s: path.sigma(t)[..., None] * (x - path.alpha(t)[..., None] * mean)  # noqa: E731
    return Field(eps, path, jnp.linspace(0.99, 0.0, 201), 1, "eps", "ode")


def test_guided_gaussian_is_the_tilted_gaussian():
    """N(0, 1) tilted by exp(b a) is N(b, 1), and log E[exp(b a) | x] = b alpha x + const."""
    b = 0.7
    models = Models(actor=field(), energy=lambda x, t, s: b * PATH.alpha(t) * x[..., 0])
    x, t = jnp.array([[-1.0], [0.3], [2.0], [0.1]]), jnp.array([0.1, 0.5, 0.8, 0.95])
    shifted = guidance.guided(models.actor, models.energy, scales.score, 1.0)
    np.testing.assert_allclose(shifted.eps(x, t, S), field(b).eps(x, t, S), atol=1e-6)
    guiding = guidance.guiding(guidance.trained, scales.score, False, guidance_weight=1.0)
    act = guidance.acting(lambda m, s, key: m.actor.sample(key, s), guiding)
    a = act(models, jnp.zeros((4000, 1)), jax.random.key(0))
    assert abs(float(a.mean()) - b) < 0.06 and abs(float(a.std()) - 1.0) < 0.05
    by_noise = guidance.guided(models.actor, models.energy, scales.noise, 2.0).eps(x, t, S)
    np.testing.assert_allclose(by_noise, field().eps(x, t, S) - 2.0 * b * PATH.alpha(t)[:, None], atol=1e-6)


def test_a_gradient_of_length_one_forgets_the_scale_of_the_energy():
    """Every action is pushed by w times the deviation of the step to come, whatever the energy's height."""
    actor = field()
    points, s = jnp.array([[-1.0], [0.3], [2.0]]), jnp.zeros((3, 1))
    t = jnp.broadcast_to(actor.grid[100], (3,))
    step = float(posterior_deviation(actor, t[:1])[0, 0])
    for height in (1.0, 50.0):
        energy_ = lambda x, t, s: -height * jnp.abs(x[..., 0])  # noqa: E731, B023
        unit = guidance.guided(actor, energy_, scales.step_deviation, 3.0, divisor=normaliser.gradient_length)
        moved = actor.eps(points, t, s) - unit.eps(points, t, s)
        np.testing.assert_allclose(moved[:, 0], [3.0 * step, -3.0 * step, -3.0 * step], rtol=1e-5)


def test_the_backup_can_follow_the_acting_rule():
    """One call of the rule for each lead index, with keys of their own."""
    act = lambda models, s, key: s + 2.0 + 0.1 * jax.random.normal(key, s.shape)  # noqa: E731
    drawn = backup_policy.acting(Models(), act=act).sample(jax.random.key(0), S, (500,))
    assert drawn.shape == (500, 4, 1)
    assert abs(float(drawn.mean()) - 2.0) < 0.01 and abs(float(drawn.std()) - 0.1) < 0.01


def test_guidance_keeps_lead_axes():
    models = Models(actor=field(), energy=lambda x, t, s: x[..., 0] * s[..., 0])
    drawn = guidance.guided(models.actor, models.energy, scales.score, 1.0).sample(jax.random.key(0), S, (3,))
    assert drawn.shape == (3, 4, 1)


def test_a_velocity_of_its_own_is_added():
    """On the straight path the actor's velocity a - eps gains w times that of the noise -sigma grad Q / lambda."""
    path = linear()
    actor = Field(lambda x, t, s: 0.5 * x, path, jnp.linspace(0.98, 0.0, 11), 1, "eps", "ode")
    models = Models(actor=actor, target_actor=actor, critic=lambda s, a: jnp.stack([2.0 * a[..., 0], 4.0 * a[..., 0]]))
    guide = guidance.naive(aggregation.mean, temperature=0.5)
    shown = guidance.guiding(guide, scales.velocity, True, guidance_weight=0.1)(models)
    x, t = jnp.array([[1.0]]), jnp.array([0.5])
    # alpha = sigma = 1/2, grad Q / lambda = 6: a - eps = (1 - .5) / .5 = 1, plus a tenth of (x + 3) / .5 = 8
    assert float(actor.velocity(x, t, S[:1])[0, 0]) == pytest.approx(-1.0)
    assert float(shown.actor.velocity(x, t, S[:1])[0, 0]) == pytest.approx(-1.8)
    assert float(backup_policy.guided(models, guiding=lambda m: shown).velocity(x, t, S[:1])[0, 0]) == pytest.approx(
        -1.8
    )


def test_contrastive_loss_of_two_actions():
    """Weights 3 : 1 and an energy that separates the noisy actions by log 2 wherever they are told apart."""
    a = jnp.array([[[1.0]], [[-1.0]]])
    # Almost no noise, so that signs are kept.
    calm = PATH._replace(sample_t=lambda key, shape: jnp.full(shape, 1e-3))
    models = Models(
        actor=SimpleNamespace(sample=lambda key, s, lead: a, path=calm),
        energy=lambda x, t, s: jnp.where(x[..., 0] > 0, jnp.log(2.0), 0.0),
    )
    log_weight = lambda models, s, a, key: jnp.log(jnp.where(a[..., 0] > 0, 3.0, 1.0))  # noqa: E731
    loss = energy.contrastive(log_weight, candidates=2)
    value, _ = loss(models, Batch(S[:1], a[0]), jax.random.key(0))
    assert float(value) == pytest.approx(-(0.75 * np.log(2 / 3) + 0.25 * np.log(1 / 3)), abs=1e-5)


@pytest.mark.parametrize("estimator", ["contrastive", "linex"])
def test_energies_rest_at_the_log_of_the_average_weight(estimator):
    """Two equally likely actions +-1 with weights 20 and 1: E = log((20 p(x|1) + p(x|-1)) / (p(x|1) + p(x|-1))).

    The linex update vanishes there. The contrastive one, whose weights are divided by their sum over the support, does
    so only as the support grows: with two actions a rectangle rule over both noisy actions gives a slope of 0.01025,
    and an independent simulation 0.0101 with two, -0.0201 with eight, -0.0053 with 32 and -0.0011 with 128.
    """

    def exact(x, t, s):
        odds = jax.nn.sigmoid(2.0 * PATH.alpha(t) * x[..., 0] / PATH.sigma(t) ** 2)
        return jnp.log(1.0 + 19.0 * odds)

    flip = lambda key, shape: 2.0 * jax.random.bernoulli(key, 0.5, shape) - 1.0  # noqa: E731
    path = PATH._replace(sample_t=lambda key, shape: jnp.full(shape, 0.6))
    log_weight = lambda models, s, a, key: jnp.where(a[..., 0] > 0, jnp.log(20.0), 0.0)  # noqa: E731
    s = jnp.zeros((20_000, 1))

    def moves(candidates: int, start=exact) -> float:
        actor = SimpleNamespace(sample=lambda key, s, lead: flip(key, (*lead, *s.shape)), path=path)
        loss = getattr(energy, estimator)(log_weight, candidates=candidates)

        def of(theta, key):
            k_data, k_loss = jax.random.split(key)
            models = Models(actor=actor, energy=lambda x, t, s: start(x, t, s) + theta * jnp.tanh(x[..., 0]))
            return loss(models, Batch(s, flip(k_data, s.shape)), k_loss)[0]

        return float(jnp.mean(jnp.stack([jax.grad(of)(0.0, jax.random.key(i)) for i in range(8)])))

    away = abs(moves(2, start=lambda x, t, s: 0.0 * x[..., 0]))
    if estimator == "linex":
        assert abs(moves(2)) < 0.02 * away
    else:
        assert moves(2) == pytest.approx(0.01025, abs=0.002)
        assert moves(8) == pytest.approx(-0.0201, abs=0.002)
        assert moves(32) == pytest.approx(-0.0053, abs=0.002)


def test_linex_bounds_its_weights():
    """Constant energy 0: the loss is the mean bounded weight."""
    models = Models(actor=SimpleNamespace(path=PATH), energy=lambda x, t, s: jnp.zeros(x.shape[:-1]))
    log_weight = lambda models, s, a, key: jnp.log(a[..., 0])  # noqa: E731
    batch = Batch(S, jnp.array([[1.0], [2.0], [5.0], [9.0]]))
    assert float(energy.linex(log_weight, candidates=3)(models, batch, jax.random.key(0))[0]) == pytest.approx(4.25)
    bounded = energy.linex(log_weight, candidates=3, weight_clip=4.0)
    assert float(bounded(models, batch, jax.random.key(0))[0]) == pytest.approx(2.75)


def test_squared_energy_ends_at_the_mean_log_weight():
    models = Models(actor=SimpleNamespace(path=PATH), energy=lambda x, t, s: jnp.full(x.shape[:-1], 1.5))
    loss = energy.squared(lambda models, s, a, key: a[..., 0])
    assert float(loss(models, Batch(S, jnp.array([[1.0], [2.0], [1.0], [2.0]])), jax.random.key(0))[0]) == 0.25


def test_weights_of_a_value():
    q, v = jnp.array([1.0, 3.0]), jnp.array([2.0, 2.0])
    np.testing.assert_allclose(energy_weight.exponential(temperature=0.5)(q, None), [2.0, 6.0])
    np.testing.assert_allclose(energy_weight.soft_chi_square(temperature=0.5)(q, v), [-2.0, np.log(2.0)], rtol=1e-6)
