"""Overrides: numbers are numbers, wrong names name the nearest, presets say what they change."""

import jax
import pytest

from flowrl_kb.errors import UserError
from flowrl_kb.train import settings
from flowrl_kb.train.settings import Settings


def _settings(**hyper):
    return Settings("m", {"route": "regression-value"}, hyper, dict(settings.TRAINING))


def test_values_are_read_as_what_they_look_like():
    found = settings.parse(["a=1", "b=1e-3", "c=[64, 64]", "d=exact", "learning-rate=2"])
    assert found == {"a": 1, "b": 0.001, "c": [64, 64], "d": "exact", "learning_rate": 2}


@pytest.mark.parametrize(
    "pair, message",
    [
        ("temperatur=1", "did you mean temperature"),
        ("temperature=hot", "expected a number"),
        ("candidates=1.5", "whole number"),
        ("critic=perfect", "expected learned or exact"),
        ("hidden=[0]", "expected widths"),
        ("temperature", "expected name=value"),
        ("batch=0", "above zero"),
        ("temperature=-1", "above zero"),
    ],
)
def test_bad_overrides_are_one_line(pair, message):
    with pytest.raises(UserError, match=message) as error:
        settings.override(_settings(temperature=0.2, candidates=4), settings.parse([pair]))
    assert "\n" not in str(error.value)


def test_override_reaches_hyper_parameters_training_and_single_objects():
    made = settings.override(
        _settings(temperature=0.2), {"temperature": 0.5, "batch": 32, "critic_learning_rate": 1e-2}
    )
    assert made.hyper["temperature"] == 0.5
    assert made.training["batch"] == 32 and made.training["critic_learning_rate"] == 1e-2


def test_the_bandit_preset_says_what_it_changes():
    made = settings.on_bandit(_settings(temperature=3.0, candidates=500), steps=10)
    assert made.hyper == {"temperature": 0.2, "candidates": 64}
    assert "candidates 64" in made.preset and "temperature 0.2" in made.preset


def test_reverse_candidates_on_the_straight_path_keep_both_ends_off():
    """Candidates divide by alpha, zero at the noisy end; the published endpoints by sigma, zero at the clean one."""
    cell = {"path": "linear", "prediction": "velocity", "direction": "reverse"}
    path, grid = settings.path_and_grid(cell, 10, None)
    t = path.sample_t(jax.random.key(0), (4096,))
    assert 0.01 <= float(t.min()) < 0.02 and 0.98 < float(t.max()) <= 0.99
    assert float(grid[0]) == pytest.approx(0.99) and float(grid[-1]) == 0.0 and grid.shape == (11,)
    assert float(settings.path_and_grid(cell | {"direction": "forward"}, 10, None)[1][0]) == 1.0
