"""Draws read off a stream: the same laws, in loops and under vmap, and numbers that can be matched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrl_kb.certify.draws import Column, layout, read_at, readings, traced

STATES, DIM = 64, 2
KEY = jax.random.key(0)


def drawing(function, *args):
    return traced(function, *args, KEY, states=STATES, dim=DIM)


def read(made, order=None, mirrored=(), stream=KEY):
    return np.asarray(made(readings(order or made.columns, mirrored), stream, KEY)[0])


@given(st.permutations([("states", STATES), ("a", 3), ("b", 5)]), st.booleans())
def test_a_layout_splits_any_order_of_axes_into_columns_and_back(axes, with_item):
    shape = (*(size for _, size in axes), *([DIM] if with_item else []))
    repeated, column, back = layout(shape, STATES, DIM)
    assert sorted(repeated) == [3, 5] and column == ((STATES, DIM) if with_item else (STATES,))
    array = np.arange(np.prod(shape)).reshape(*repeated, *column)
    assert np.transpose(array, back).shape == shape


def test_an_array_without_an_axis_of_states_is_one_column():
    assert layout((3, 7), STATES, DIM) == ((), (3, 7), (0, 1))


def in_a_loop(key):
    """Three rounds of a draw for each state, as a loop."""
    return jax.lax.scan(lambda c, k: (c, jax.random.normal(k, (STATES, DIM))), 0.0, jax.random.split(key, 3))[1]


def unrolled(key):
    """The same with keys that are made in another way."""
    return jnp.stack([jax.random.normal(jax.random.fold_in(key, i), (STATES, DIM)) for i in range(3)])


def side_by_side(key):
    """The same in one draw, the repetitions behind the states."""
    return jnp.swapaxes(jax.random.normal(key, (STATES, 3, DIM)), 0, 1)


def under_vmap(key):
    """The same with one key for each repetition."""
    return jax.vmap(lambda k: jax.random.normal(k, (STATES, DIM)))(jax.random.split(key, 3))


@pytest.mark.parametrize("other", [unrolled, side_by_side, under_vmap])
def test_the_same_numbers_come_however_they_are_drawn(other):
    loop, found = read(drawing(in_a_loop)), read(drawing(other))
    assert np.array_equal(loop, found)
    assert not np.array_equal(loop, np.asarray(other(KEY)))  # and these are not those of the function's own keys


def test_numbers_off_a_stream_have_the_law_of_the_draw():
    made = drawing(lambda key: jax.random.normal(key, (1000, STATES, DIM)))
    x = read(made)
    assert abs(x.mean()) < 5.0 / np.sqrt(x.size) and abs(x.std() - 1.0) < 5.0 / np.sqrt(2.0 * x.size)
    assert abs(np.corrcoef(x[:-1].ravel(), x[1:].ravel())[0, 1]) < 5.0 / np.sqrt(x.size)


def test_complemented_bits_give_the_negative_of_a_normal_draw():
    made = drawing(unrolled)
    second = made.columns[STATES, DIM][1].path
    plain, mirrored = read(made), read(made, mirrored=(second,))
    assert np.allclose(mirrored[1], -plain[1], atol=1e-3) and np.array_equal(mirrored[::2], plain[::2])


def test_an_order_says_which_columns_are_read():
    made = drawing(in_a_loop)
    columns = made.columns[STATES, DIM]
    assert np.array_equal(read(made, {(STATES, DIM): columns[::-1]}), read(made)[::-1])


def test_draws_that_a_result_does_not_need_are_no_columns():
    made = drawing(lambda key: (jax.random.normal(key, (STATES,)), jax.random.normal(key, (STATES, DIM)))[1])
    assert list(made.columns) == [(STATES, DIM)]


def test_draws_with_one_key_are_one():
    def twice(key):
        a, b = jax.random.split(key)
        first = jax.random.normal(a, (STATES,))
        c, _ = jax.random.split(key)
        again = jax.jit(lambda k: jax.random.normal(k, (STATES,)))(c)
        return jnp.stack([first, again, jax.random.normal(b, (STATES,))])

    made = drawing(twice)
    x = read(made)
    assert len(made.columns[STATES,]) == 2
    assert np.array_equal(x[0], x[1]) and not np.array_equal(x[0], x[2])


def test_one_key_drawn_from_in_two_shapes_is_refused():
    """JAX gives them common bits; columns would make them independent, and hide the slip."""
    reused = lambda key: jax.random.normal(key, (STATES, DIM)) + jax.random.normal(key, (STATES, 1))  # noqa: E731
    with pytest.raises(NotImplementedError, match="two shapes"):
        _ = drawing(reused).columns


def test_one_key_in_every_round_of_a_loop_is_drawn_from_once_a_round():
    def rounds(key):
        twice = lambda k: (jax.random.normal(k, (STATES,)), jax.random.normal(k, (STATES,)))  # noqa: E731
        return jnp.stack(jax.lax.map(twice, jax.random.split(key, 3)))

    x = read(drawing(rounds))
    assert np.array_equal(x[0], x[1]) and not np.array_equal(x[0, 0], x[0, 1])


def test_gradients_go_through_and_other_equations_are_left_alone():
    def function(theta, key):
        return jnp.sum(jax.nn.softplus(theta * jax.random.normal(key, (STATES,))))

    made = drawing(function, jnp.array(0.7))
    at = readings(made.columns)
    slope = jax.grad(lambda theta: made(at, KEY, theta, KEY)[0])(jnp.array(0.7))
    x = np.asarray(drawing(lambda key: jax.random.normal(key, (STATES,)))(at_only(made), KEY, KEY)[0])
    assert np.allclose(slope, np.sum(x / (1.0 + np.exp(-0.7 * x))), rtol=1e-5)


def at_only(made):
    """The columns of `made` read by a function that draws nothing else."""
    alone = drawing(lambda key: jax.random.normal(key, (STATES,)))
    (column,) = alone.columns[STATES,]
    assert len(made.columns[STATES,]) == 1
    return read_at({Column(*column): 0})


@pytest.mark.parametrize(
    "function",
    [
        lambda key: jax.lax.cond(True, lambda: jax.random.normal(key, (STATES,)), lambda: jnp.zeros(STATES)),
        lambda key: jax.lax.while_loop(
            lambda x: x[0] < 1.0, lambda x: x + jax.random.uniform(key, (STATES,)), jnp.zeros(STATES)
        ),
    ],
)
def test_draws_under_a_condition_are_refused(function):
    with pytest.raises(NotImplementedError, match="draws inside"):
        _ = drawing(function).columns
