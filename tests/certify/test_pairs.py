"""What is stored of a pair that was compared in two kinds of scenario."""

import pytest

from flowrl_kb.certify.pairs import _standing, draw_by_draw, may_be_one_loss
from flowrl_kb.kb.load import load

KB = load()


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


def found(a, b, slot):
    return draw_by_draw(KB, {**row("same-update", "equal"), "a": a, "b": b, "slot": slot, "made_from": "programs"})


def test_one_loss_of_two_methods_is_told_from_one_average():
    """The clones of CGQL and IFQL, whose coordinates differ, and a pair that is not even equal on average."""
    same = found("cgql", "ifql", "actor")
    assert same["level"] == "same-loss" and same["worst_residual"] < same["margin"] <= same["control"]["worst_residual"]
    assert not may_be_one_loss(same)
    apart = found("idql", "qsm", "actor")
    assert apart["level"] == "same-update" and not may_be_one_loss(apart)


@pytest.mark.parametrize("changed", [{"verdict": "different"}, {"level": "same-update-at-old"}])
def test_only_what_is_equal_everywhere_is_asked(changed):
    assert may_be_one_loss(row("same-update", "equal")) and not may_be_one_loss(row("same-update", "equal") | changed)
