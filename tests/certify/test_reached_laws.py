"""Laws that are trained again: two by default, all when slow tests run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.certify import bounds, laws, predictors, reach
from flowrl_kb.kb.load import load
from flowrl_kb.tasks import bandits
from flowrl_kb.tasks import laws as exact

KB = load()
QUICK = ("dac", "idql")
"""A simulated law and a density."""
SHARE = 0.25
"""The reached law must be this much nearer to the predicted one than the data are."""
LEAST = 0.75
"""Share of the greatest possible gain that a method which only maximises must reach at some local maximum."""


def check(name):
    law = KB.cards[name].law
    for row in laws.measure(KB, KB.nodes[name], force=True):
        if law.predictor in bounds.BOUNDS:
            assert 0 < row["distance"] < row["behaviour_distance"], row
        elif law.kind == "bound":
            assert LEAST * row["predicted_gain"] < row["gain"] < row["predicted_gain"] + 0.02, row
        elif row["distance"] is not None:
            assert row["distance"] < SHARE * row["behaviour_distance"] + 3 * row["reference_distance"], row


@pytest.fixture(autouse=True)
def pictures_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(laws, "picture", lambda kb, node: tmp_path / f"{node.id}.png")


@pytest.mark.parametrize("name", QUICK)
def test_the_reached_law_is_the_predicted_one(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({n for n, c in KB.cards.items() if c.role == "method"} - set(QUICK)))
def test_every_reached_law_is_the_predicted_one(name):
    if KB.cards[name].law.kind == "none":
        pytest.skip("the card predicts no law to compare with: " + KB.cards[name].law.reason)
    check(name)


def test_predictions_differ_from_the_data_where_the_card_says_so():
    """Negative control: the data themselves do not pass for the predicted law."""
    made = reach.prepare(KB, KB.nodes["dac"])
    task = bandits.get("moons")
    prediction = predictors.predict(task, made, KB.nodes["dac"], jax.random.key(0))
    data = bandits.sample(task, jax.random.key(1), (1, reach.SAMPLES))
    again = predictors.predict(task, made, KB.nodes["dac"], jax.random.key(2))
    assert laws._energy(data, prediction.samples) > 10 * abs(laws._energy(again.samples[None], prediction.samples))


def test_least_denoising_error_of_one_gaussian_has_a_closed_form():
    """For data N(m, v) the variance of eps given x_t is alpha^2 v / (alpha^2 v + sigma^2), averaged over times."""
    one = bandits.get("two-modes-1d")._replace(means=jnp.array([[0.3]]), weights=jnp.ones(1), std=0.2)
    made = reach.prepare(KB, KB.nodes["dql"])
    t = np.linspace(0.001, 0.8, 100_001)
    alpha, sigma = np.cos(0.5 * np.pi * t), np.sin(0.5 * np.pi * t)
    expected = np.mean((alpha * 0.2) ** 2 / ((alpha * 0.2) ** 2 + sigma**2))
    found = float(bounds.least_cloning(one, made, jax.random.key(0)))
    assert found == pytest.approx(expected, abs=5 / bounds.DRAWS**0.5)


def test_renewals_tilt_the_first_policy_once_each(monkeypatch):
    """With many candidates, k rounds give the first policy times exp(k Q / temperature), here by quadrature."""
    task = bandits.get("two-modes-1d")
    made = reach.prepare(KB, KB.nodes["dpmd"])
    made = made._replace(hyper={**made.hyper, "candidates": 128})
    monkeypatch.setattr(predictors, "POPULATION", 20_000)
    agent = predictors.agents.make(reach.published(made), made, task)
    actor = agent.trainer.models(agent.trainer.init(jax.random.key(5))).actor
    first = actor.sample(jax.random.key(6), bandits.states((200_000,)))
    power = reach.ROUNDS * bandits.reward(task, first) / made.hyper["temperature"]
    chosen = jax.random.choice(jax.random.key(7), first, (reach.SAMPLES,), p=jax.nn.softmax(power))
    found = predictors.renewals(task, made, jax.random.key(8))
    assert float(exact.energy_distance(found, chosen)) < 0.1 * float(exact.energy_distance(first[:2000], chosen))


def test_the_maximiser_of_the_smoothed_reward_is_the_one_by_sampling():
    task = bandits.get("moons")
    law = exact.noisy_maximiser(task, target_entropy=-0.9, noise_std=0.1, actor_noise_std=0.3)
    mean = jnp.sum(law.mass[:, None] * law.grid.points, axis=0)
    sigma = np.exp(-0.9) / np.sqrt(2 * np.pi * np.e)
    np.testing.assert_allclose(law.mean(jnp.square(law.grid.points - mean).sum(-1)), 2 * sigma**2, rtol=1e-2)
    noise = 3 * sigma * jax.random.normal(jax.random.key(0), (20_000, 2))
    smooth = lambda a: float(bandits.reward(task, a + noise).mean())  # noqa: E731
    others = mean + 0.15 * jnp.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert all(smooth(mean) > smooth(a) for a in [*others, *task.centres])
