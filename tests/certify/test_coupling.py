"""Two losses are one draw by draw, or they are not: what couplings find, and what they must not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.certify import coupling, subject
from flowrl_kb.certify.draws import traced
from flowrl_kb.certify.presentation import TEMPERATURE
from flowrl_kb.certify.same_loss import Both, Side
from flowrl_kb.kb.load import load

KB = load()
STATES = 64
SHAPE = (STATES, 2)


def found(first, second, shown=coupling.coupled):
    """What is shown of two functions of a scale and a key; the wrong presentation scales the second unevenly."""
    both = [traced(f, jnp.ones(()), jax.random.key(0), states=STATES, dim=2) for f in (first, second)]

    def update(ours, theirs, key, wrong):
        scale = jnp.where(wrong, 0.5, 1.0)
        values = [made(read, key, s, key)[0] for made, read, s in zip(both, (ours, theirs), (1.0, scale), strict=True)]
        return tuple(np.asarray(v).reshape(1, 1, -1) for v in values)

    return shown(update, *both)


def draws(key, n):
    return [jax.random.normal(k, SHAPE) for k in jax.random.split(key, n)]


def moments(x, y, z):
    return jnp.mean(jnp.stack([x * y, x**3, jnp.sin(y) + z, jnp.cos(2.0 * x - z)]), axis=(1, 2))


def plain(scale, key):
    return moments(scale * draws(key, 3)[0], *draws(key, 3)[1:])


def reordered(scale, key):
    z, x, y = draws(key, 3)
    return 3.0 * moments(scale * x, y, z)


def mirrored(scale, key):
    x, y, z = draws(key, 3)
    return moments(scale * x, -y, z)


def in_one_array(scale, key):
    x, y, z = jnp.moveaxis(jax.random.normal(key, (STATES, 3, 2)), 1, 0)
    return moments(scale * x, y, z)


def shared(scale, key):
    x, y, _ = draws(key, 3)
    return moments(scale * x, y, x)


def a_permille(scale, key):
    x, y, z = draws(key, 3)
    return moments(1.002 * scale * x, y, z)


@pytest.mark.parametrize("second, factor", [(plain, 1), (reordered, 1 / 3), (mirrored, 1), (in_one_array, 1)])
def test_one_loss_is_found_however_it_draws(second, factor):
    result, control = found(plain, second)
    assert result.residual < coupling.MARGIN <= control.residual
    assert np.isclose(result.scale, factor, rtol=1e-4)


@pytest.mark.parametrize("second", [shared, a_permille])
def test_other_losses_are_not_coupled(second):
    assert found(plain, second) is None and found(plain, second, coupling.in_terms) is None


def test_a_wrong_presentation_that_makes_no_difference_shows_nothing():
    insensitive = lambda scale, key: moments(*draws(key, 3))  # noqa: E731
    assert found(insensitive, insensitive) is None


def once(scale, key):
    """f + g of the same draw."""
    x = scale * jax.random.normal(key, SHAPE)
    return jnp.mean(jnp.stack([x**2 + jnp.sin(x), x**3 + x]), axis=(1, 2))


def anew(scale, key):
    """f + g, each of its own draw."""
    x, y = (scale * x for x in draws(key, 2))
    return jnp.mean(jnp.stack([x**2 + jnp.sin(y), x**3 + y]), axis=(1, 2))


def product(scale, key):
    """The product of two draws, which is that of one where both are the same: the averages differ."""
    x, y = (scale * x for x in draws(key, 2))
    return jnp.mean(jnp.stack([x * y + jnp.sin(y), x**3 + y]), axis=(1, 2))


def test_terms_that_draw_anew_have_one_average():
    assert found(once, anew) is None
    result, control = found(once, anew, coupling.in_terms)
    assert result.residual < coupling.MARGIN <= control.residual


def squared(scale, key):
    """What the product of two draws is where both are the same."""
    x = scale * jax.random.normal(key, SHAPE)
    return jnp.mean(jnp.stack([x**2 + jnp.sin(x), x**3 + x]), axis=(1, 2))


def test_a_product_of_two_draws_is_no_sum_of_terms():
    assert found(squared, product, coupling.in_terms) is None


def of_three(key):
    """One of three numbers for each state, as weights, and a key for noises."""
    k_pick, k_noise = jax.random.split(key)
    return jax.nn.one_hot(jnp.int32(3.0 * jax.random.uniform(k_pick, (STATES,))), 3, axis=0)[..., None], k_noise


def one_noise(scale, key):
    weight, k = of_three(key)
    x = scale * jax.random.normal(k, SHAPE) * (1.0 + jnp.argmax(weight, axis=0))
    return jnp.mean(jnp.stack([x**2, jnp.sin(x)]), axis=(1, 2))


def three_noises(scale, key, of=lambda x: x):
    weight, k = of_three(key)
    x = scale * of(jax.random.normal(k, (3, *SHAPE))) * jnp.arange(1.0, 4.0)[:, None, None]
    return jnp.mean(jnp.sum(weight * jnp.stack([x**2, jnp.sin(x)]), axis=1), axis=(1, 2))


def test_a_noise_for_each_of_three_of_which_one_counts_has_the_average_of_one_noise():
    result, control = found(one_noise, three_noises, coupling.in_terms)
    assert result.residual < coupling.MARGIN <= control.residual


def test_one_that_reads_the_noise_of_its_neighbour_has_not():
    mixed = lambda scale, key: three_noises(scale, key, lambda x: 0.5 * (x + jnp.roll(x, 1, axis=0)))  # noqa: E731
    assert found(one_noise, mixed, coupling.in_terms) is None


def test_updates_that_are_not_finite_or_vanish_agree_with_nothing():
    some = np.ones((2, 1, 1, 3))
    assert not coupling.difference(some * np.nan, some).residual < coupling.MARGIN
    assert not coupling.difference(0.0 * some, 0.0 * some).residual < coupling.MARGIN
    assert not coupling.difference(some, -some).residual < coupling.MARGIN


def both(name, slot, change=None, factor=1.0):
    node = KB.nodes[name]
    hyper = subject.laboratory_hyper(node)
    published = compose.of_node(node, hyper=hyper)
    changed = {**hyper, "temperature": factor * hyper["temperature"]} if factor != 1.0 else hyper
    composed = compose.compose(name, {**node.coordinates, **(change or {})}, changed)
    sides = (Side(method, subject.setting(node)) for method in (published, composed))
    return Both(*sides, slot, subject.SCENES["drifted"](2))


def test_a_published_loss_is_its_cell_and_no_other():
    assert both("sdac", "actor").row()["level"] == "same-loss"
    assert both("sdac", "actor", {"source": "replay"}).row() is None


def test_half_a_percent_of_the_temperature_is_told():
    """Below what any comparison of averages can tell: its margin is 2 %."""
    assert both("sdac", "actor", factor=1.005).row() is None


@pytest.mark.parametrize("factor, level", [(1.0, "same-loss"), (1.1, None)])
def test_a_temperature_enters_as_a_constant_however_it_is_controlled(factor, level):
    """The rule equal-temperature: at the value of the trained temperature a fixed one gives the same loss."""
    node = KB.nodes["sdac"]
    hyper = {**subject.HYPER, **subject.laboratory_hyper(node), "temperature": factor * TEMPERATURE}
    cells = ({**node.coordinates, "temperature-control": how} for how in ("fixed", "weight-divergence"))
    sides = (Side(compose.compose("sdac", cell, hyper), subject.setting(node)) for cell in cells)
    row = Both(*sides, "actor", subject.SCENES["drifted"](2)).row()
    assert (row and row["level"]) == level


def test_a_cell_that_draws_anew_for_each_term_has_the_update_and_not_the_loss():
    assert both("edp", "actor").row()["level"] == "same-update"
