"""Networks: activation, broadcasting, pieces, and what each kind binds to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.errors import UnknownName
from flowrl_kb.parts import modules, networks, path
from flowrl_kb.parts.networks import Shape

SHAPE = Shape(ds=3, d=2, hidden=(8, 8), path=path.vp(), grid=jnp.linspace(0.99, 0.0, 4), box=1.0)


def test_mish_is_accurate_with_finite_slopes_everywhere():
    x = np.linspace(-60.0, 60.0, 2001)
    expected = x * np.tanh(np.logaddexp(0.0, x))
    np.testing.assert_allclose(modules.mish(jnp.asarray(x, jnp.float32)), expected, rtol=3e-6, atol=3e-6)
    slopes = jax.vmap(jax.grad(modules.mish))(jnp.asarray(x, jnp.float32))
    assert bool(jnp.all(jnp.isfinite(slopes)))


@pytest.mark.parametrize("kind", ["field", "critic", "gaussian", "value"])
def test_the_chosen_activation_stands_between_the_layers(kind):
    """With relu and biases at zero twice the input gives twice the output; with mish it does not."""
    relu = SHAPE._replace(activation="relu")
    made = networks.build(kind, relu, jax.random.key(0))
    same = networks.build(kind, SHAPE, jax.random.key(0))
    assert jax.tree.all(jax.tree.map(np.array_equal, made, same)), "the activation has no parameters"
    module, inputs = networks.KINDS[kind].module, {"x": 2, "t": 16, "a": 2, "s": 3}
    points = {k: jnp.full(inputs[k], 0.3) for k in networks.KINDS[kind].inputs}
    out = lambda shape, c: jnp.ravel(  # noqa: E731
        jax.tree.leaves(module(shape).apply({"params": made}, {k: c * v for k, v in points.items()}))[0]
    )
    np.testing.assert_allclose(out(relu, 2.0), 2.0 * out(relu, 1.0), rtol=1e-5, atol=1e-6)
    assert not np.allclose(out(SHAPE, 2.0), 2.0 * out(SHAPE, 1.0), rtol=1e-2)


def test_first_weights_have_variance_one_over_fan_in_and_biases_are_zero():
    shape = SHAPE._replace(ds=50, hidden=(400, 300))
    params = networks.build("field", shape, jax.random.key(0))
    first = np.concatenate([params["x"], params["t"], params["s"]])
    assert first.shape == (2 + 16 + 50, 400)
    rest = [params["Dense_0"]["kernel"], params["Dense_1"]["kernel"]]
    for kernel, scale in zip([first, *rest], [1.0, 1.0, 0.1], strict=True):
        np.testing.assert_allclose(np.std(kernel), scale * len(kernel) ** -0.5, rtol=0.1)
    assert not any(np.any(b) for b in (params["bias"], params["Dense_0"]["bias"], params["Dense_1"]["bias"]))
    assert not np.allclose(params["x"][0, :300], rest[0][0])  # pieces of the draw are not shared


def test_candidates_share_the_product_of_their_state():
    critic = networks.bind("critic", networks.build("critic", SHAPE, jax.random.key(0)), SHAPE)
    s, a = jax.random.normal(jax.random.key(1), (5, 3)), jax.random.normal(jax.random.key(2), (4, 5, 2))
    together = critic(s, a)
    assert together.shape == (2, 4, 5)
    repeated = critic(jnp.broadcast_to(s, (4, 5, 3)), a)
    np.testing.assert_allclose(together, repeated, rtol=1e-5, atol=1e-6)
    assert not np.allclose(together[0], together[1])


def test_pieces_change_nothing(monkeypatch):
    params = networks.build("critic", SHAPE, jax.random.key(0))
    critic = networks.bind("critic", params, SHAPE)
    s, a = jax.random.normal(jax.random.key(1), (6, 3)), jax.random.normal(jax.random.key(2), (10, 6, 2))
    whole = critic(s, a)
    slope = jax.grad(lambda a: critic(s, a).sum())(a)
    monkeypatch.setattr(networks, "PIECE", 12)
    np.testing.assert_allclose(critic(s, a), whole, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda a: critic(s, a).sum())(a), slope, rtol=1e-5, atol=1e-6)


def test_unbounded_critics_fall_far_away():
    shape = SHAPE._replace(box=None, reach=1.5, waves=(3.0,))
    critic = networks.bind("critic", networks.build("critic", shape, jax.random.key(0)), shape)
    s = jnp.ones(3)
    near, far = critic(s, jnp.array([1.5, 1.5])), critic(s, jnp.array([5.0, 4.0]))
    np.testing.assert_allclose(far - near, -0.5 * (25 + 16 - 2 * 2.25), rtol=1e-5)


def test_a_new_unbounded_field_generates_about_the_guess():
    shape = Shape(1, 2, (8,), path=path.vp(), grid=jnp.linspace(0.95, 0.0, 21), reach=1.5)
    field = networks.bind("field", networks.build("field", shape, jax.random.key(0)), shape)
    a = field.sample(jax.random.key(1), jnp.ones((4000, 1)))
    assert 0.3 < float(a.std()) < 0.8


@pytest.mark.parametrize("kind, shape", [("field", (7, 2)), ("map", (7, 2)), ("gaussian", (7, 2))])
def test_policies_sample_one_action_for_each_state(kind, shape):
    policy = networks.bind(kind, networks.build(kind, SHAPE, jax.random.key(0)), SHAPE)
    assert policy.sample(jax.random.key(1), jnp.ones((7, 3))).shape == shape
    assert policy.sample(jax.random.key(1), jnp.ones((7, 3)), (4,)).shape == (4, *shape)


def test_gaussian_critic_has_positive_spreads():
    mean, spread = networks.bind("gaussian-critic", networks.build("gaussian-critic", SHAPE, jax.random.key(0)), SHAPE)
    s, a = jnp.ones((5, 3)), jnp.ones((5, 2))
    assert mean(s, a).shape == spread(s, a).shape == (2, 5)
    assert float(spread(s, a).min()) > 0


def test_unknown_kind_is_one_line():
    with pytest.raises(UnknownName, match="did you mean critic"):
        networks.build("critik", SHAPE, jax.random.key(0))


def test_step_critics_read_the_level_and_fall_far_away():
    shape = SHAPE._replace(box=None, reach=1.5, waves=(3.0,))
    critic = networks.bind("step-critic", networks.build("step-critic", shape, jax.random.key(0)), shape)
    s, x = jnp.ones((5, 3)), jax.random.normal(jax.random.key(1), (4, 5, 2))
    heads = critic(s, x, jnp.full(5, 0.5))
    assert heads.shape == (2, 4, 5)
    assert not np.allclose(heads, critic(s, x, jnp.full(5, 0.2)))
    near, far = (critic(s[0], jnp.full(2, size), jnp.array(0.5)) for size in (3.0, 5.0))
    np.testing.assert_allclose(near - far, 0.5 * 2 * (25.0 - 9.0), rtol=1e-4)  # the vp path has size one
