"""What is stored of a pair that was compared in two kinds of scenario."""

import pytest

from flowrl_kb.certify.pairs import _standing


def row(level, verdict):
    return {"a": "a", "b": "b", "slot": "critic", "level": level, "verdict": verdict}


@pytest.mark.parametrize(
    ("drifted", "at_old", "stored"),
    [
        ("equal", "equal", [("same-update", "equal")]),
        ("equal", "different", [("same-update-at-old", "different")]),
        ("equal", "undecided", [("same-update", "undecided"), ("same-update-at-old", "undecided")]),
        ("different", "equal", [("same-update", "different"), ("same-update-at-old", "equal")]),
        ("undecided", "different", [("same-update", "undecided"), ("same-update-at-old", "different")]),
    ],
)
def test_equal_updates_are_equal_at_the_previous_policy_too(drifted, at_old, stored):
    rows = _standing(row("same-update", drifted), row("same-update-at-old", at_old))
    assert [(r["level"], r["verdict"]) for r in rows] == stored


def test_acting_is_asked_once():
    assert _standing(row("same-update", "equal")) == [row("same-update", "equal")]
