"""Policies beside a frozen generator: actions, densities, losses and values of noises by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.compose import compose, published
from flowrl_kb.kb.load import load
from flowrl_kb.parts import path, steering
from flowrl_kb.parts.policy import Field, Gaussian
from flowrl_kb.parts.steering import Shifted, Steered
from flowrl_kb.parts.types import Batch, Models

KEY, B = jax.random.key(0), 20_000
S = jnp.zeros((B, 1))
MEAN, STD, SCALE, LEVEL = 0.2, 0.5, 1.5, 0.8
KB = load()
CARD = KB.nodes["dsrl"]
HYPER = {"steering_scale": SCALE, "temperature": 1.0, "target_entropy": -1.0, "discount": 0.9}


def generator() -> Field:
    """One Euler step of the straight path with velocity 3 - x from t = 0.8: G(w) = w - 0.8 (3 - w) = 1.8 w - 2.4."""
    return Field(lambda x, t, s: 3.0 - x, path.linear(), jnp.array([LEVEL, 0.0]), 1, "velocity", "ode")


def gaussian(mean=MEAN) -> Gaussian:
    return Gaussian(lambda s: (jnp.full_like(s, mean), jnp.full_like(s, np.log(STD))), 1)


def models(mean=MEAN, offset=0.0) -> Models:
    """Heads 2 a and 3 a + 30 of actions; w + offset and w + 10 of noises, at the level of pure noise alone."""
    return Models(
        actor=gaussian(mean),
        behaviour=generator(),
        critic=lambda s, a: jnp.stack([2.0 * a[..., 0], 3.0 * a[..., 0] + 30.0]),
        target_critic=lambda s, a: jnp.stack([2.0 * a[..., 0], 3.0 * a[..., 0] + 30.0]),
        step_critic=lambda s, w, t: jnp.stack([w[..., 0] + offset, w[..., 0] + 10.0]) + 1e6 * (t != LEVEL),
        log_temperature=jnp.log(jnp.array(0.3)),
    )


@pytest.fixture(params=["published", "composed"])
def method(request):
    return published("dsrl", HYPER) if request.param == "published" else compose("dsrl", CARD.coordinates, HYPER)


def test_actions_are_what_the_generator_makes_of_scaled_noises():
    policy = Steered(gaussian(), generator(), SCALE)
    w, log_prob = policy.noise(KEY, S)
    a, same = policy.sample_with_log_prob(KEY, S)
    np.testing.assert_allclose(a, 1.8 * w - 2.4, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(log_prob, same)
    assert float(w.mean()) == pytest.approx(SCALE * MEAN, abs=0.02) and float(w.std()) == pytest.approx(0.75, abs=0.02)
    # the density is that of the draw before it is scaled
    assert float(log_prob.mean()) == pytest.approx(-0.5 * np.log(2 * np.pi * np.e * STD**2), abs=0.03)
    np.testing.assert_allclose(policy.mean(S[:1]), 1.8 * 0.3 - 2.4, rtol=1e-5)
    assert policy.sample(KEY, S[:5], (3,)).shape == (3, 5, 1)


def test_acting_and_generating_go_through_the_generator(method):
    for what in (method.act, method.generate):
        a = what(models(), S, KEY)
        assert float(a.mean()) == pytest.approx(1.8 * 0.3 - 2.4, abs=0.03)
        assert float(a.std()) == pytest.approx(1.8 * 0.75, abs=0.03)


def test_the_actor_climbs_the_smaller_head_of_the_noise_critic(method):
    # 0.3 (-entropy) - 1.5 mean, with derivative -1.5 in the mean; Q of actions would give -2 (1.8) (1.5)
    loss = lambda mean: method.losses["actor"](models(mean), Batch(s=S, a=S), KEY)[0]  # noqa: E731
    entropy = 0.5 * np.log(2 * np.pi * np.e * STD**2)
    assert float(loss(MEAN)) == pytest.approx(-0.3 * entropy - 0.3, abs=0.03)
    assert float(jax.grad(loss)(MEAN)) == pytest.approx(-1.5, abs=1e-4)


def test_without_a_noise_critic_the_gradient_passes_the_generator():
    cell = {**CARD.coordinates, "intermediate-value": "backprop"}
    made = compose("cell", cell, HYPER)
    assert "step_critic" not in made.trains
    loss = lambda mean: made.losses["actor"](models(mean), Batch(s=S, a=S), KEY)[0]  # noqa: E731
    assert float(jax.grad(loss)(MEAN)) == pytest.approx(-2.0 * 1.8 * 1.5, abs=0.05)


def test_the_noise_critic_is_drawn_to_the_value_of_the_action(method):
    # residuals under N(0, 1): -2.6 w + 4.8 + c of head 1, -4.4 w - 12.8 of head 2; one form has a factor one half
    loss = lambda c: method.losses["step_critic"](models(offset=c), Batch(s=S, a=S), KEY)[0]  # noqa: E731
    slope = float(jax.grad(loss)(0.0))
    assert float(jax.grad(loss)(-4.8)) == pytest.approx(0.0, abs=0.1)
    assert float(loss(0.0)) / slope == pytest.approx((2.6**2 + 4.8**2 + 4.4**2 + 12.8**2) / 9.6, rel=0.03)


def test_the_critic_values_the_action_of_the_next_noise(method):
    # min head 2 (1.8 w - 2.4) with w ~ N(0.3, 0.75^2), minus 0.3 log pi; head 1 of a = 0 is 0 and head 2 is 30
    batch = Batch(s=S, a=S, reward=jnp.ones(B), next_s=S, not_done=jnp.ones(B))
    shown = lambda c: models()._replace(critic=lambda s, a: jnp.stack([a[..., 0] + c, a[..., 0]]))  # noqa: E731
    loss = lambda c: method.losses["critic"](shown(c), batch, KEY)[0]  # noqa: E731
    target = 1.0 + 0.9 * (2.0 * (1.8 * 0.3 - 2.4) + 0.3 * 0.5 * np.log(2 * np.pi * np.e * STD**2))
    assert float(jax.grad(loss)(target)) == pytest.approx(0.0, abs=0.1)
    assert float(jax.grad(loss)(target + 1.0)) > 0.5


def test_the_value_of_a_noise_is_where_the_step_values_of_an_unmoved_chain_end():
    # V of a state is V of the next state, and Q behind the last step, without any divergence: followed to the end
    grid = jnp.array([LEVEL, 0.5, 0.2, 0.0])
    field = Field(lambda x, t, s: 3.0 - x + t[..., None], path.linear(), grid, 1, "velocity", "ode")
    w = jax.random.normal(KEY, (7, 1))
    x = w
    for k in range(3):
        x = field.step(x, jnp.full(7, k), S[:7])[0]
    shown = models()._replace(behaviour=field)
    q_of_noise = shown.critic(S[:7], field.from_noise(w, S[:7]))
    np.testing.assert_allclose(q_of_noise, shown.critic(S[:7], x), rtol=1e-5)
    # a critic that knows it has no loss left
    knows = shown._replace(step_critic=lambda s, x, t: shown.critic(s, field.from_noise(x, s)))
    loss = steering.noise_values()["step_critic"]
    assert float(loss(knows, Batch(s=S, a=S), KEY)[0]) == pytest.approx(0.0, abs=1e-8)


def residual(form, scale=SCALE):
    hyper = {**HYPER, "steering_scale": scale}
    name = "policy-decorator"
    return published(name, hyper) if form == "published" else compose(name, KB.nodes[name].coordinates, hyper)


def test_a_residual_is_added_to_a_sample_of_the_generator():
    a, log_prob = Shifted(gaussian(), generator(), SCALE).sample_with_log_prob(KEY, S)
    # 1.8 N(0, 1) - 2.4 plus 1.5 N(0.2, 0.5^2)
    assert float(a.mean()) == pytest.approx(-2.4 + SCALE * MEAN, abs=0.05)
    assert float(a.var()) == pytest.approx(1.8**2 + 0.75**2, rel=0.05)
    assert float(log_prob.mean()) == pytest.approx(-0.5 * np.log(2 * np.pi * np.e * STD**2), abs=0.03)
    assert Shifted(gaussian(), generator(), SCALE).sample(KEY, S[:5], (3,)).shape == (3, 5, 1)


@pytest.mark.parametrize("form", ["published", "composed"])
def test_a_residual_policy_climbs_the_value_of_the_sum(form):
    # Q = -a^2: the slope in the residual's mean is 2 scale E a, where DSRL would carry it through the generator
    made = residual(form)
    for what in (made.act, made.generate):
        assert float(what(models(), S, KEY).mean()) == pytest.approx(-2.1, abs=0.05)
    square = lambda s, a: jnp.stack([-jnp.square(a[..., 0])] * 2)  # noqa: E731
    loss = lambda mean: made.losses["actor"](models(mean)._replace(critic=square), Batch(s=S, a=S), KEY)[0]  # noqa: E731
    assert float(jax.grad(loss)(MEAN)) == pytest.approx(2.0 * SCALE * -2.1, abs=0.1)
    entropy = 0.5 * np.log(2 * np.pi * np.e * STD**2)
    assert float(loss(MEAN)) == pytest.approx(-0.3 * entropy + 2.1**2 + 1.8**2 + 0.75**2, rel=0.03)


@pytest.mark.parametrize("form", ["published", "composed"])
def test_a_residual_of_a_generator_at_zero_is_soft_actor_critic(form):
    still = Field(lambda x, t, s: x / t[..., None], path.linear(), jnp.array([LEVEL, 0.0]), 1, "velocity", "ode")
    batch = Batch(s=S, a=S, reward=jnp.ones(B), next_s=S, not_done=jnp.ones(B))
    shown = models()._replace(behaviour=still)
    np.testing.assert_allclose(still.sample(KEY, S), 0.0, atol=1e-5)
    plain, made = published("sac", HYPER), residual(form, 1.0)
    for slot in ("actor", "critic"):
        value = made.losses[slot](shown, batch, KEY)[0] / plain.losses[slot](shown, batch, KEY)[0]
        # SAC halves its critic loss; the quotient of two actor losses of their own draws has a deviation of 0.017
        assert float(value) == pytest.approx(2.0 if slot == "critic" else 1.0, rel=0.06)
