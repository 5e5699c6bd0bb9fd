"""Overrides: numbers are numbers, wrong names name the nearest, presets say what they change."""

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
