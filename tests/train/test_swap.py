"""Swaps: what fits runs, what does not is refused by a named constraint."""

import pytest

from flowrl_kb.kb.code import executable
from flowrl_kb.kb.load import load
from flowrl_kb.tasks import bandits
from flowrl_kb.train import build, choose
from flowrl_kb.train.swap import EMPTY, NO_PART, REFUSED, RUNS, UNREAD, swaps

KB = load()


def outcomes(name, axis, updates=0):
    return {one.value: one for one in swaps(KB, KB.nodes[name], [axis], updates)}


def test_a_path_runs_in_place_of_another():
    """Ends in updates that were made, not only traced."""
    found = outcomes("idql", "path", updates=2)
    assert {value: one.outcome for value, one in found.items()} == {"linear": RUNS, "ve": RUNS, "none": REFUSED}
    assert "idql" in found["linear"].why, "a path is no mechanism: the cell is its own"


def test_a_swap_says_whether_a_card_fills_its_cell():
    found = outcomes("gempo", "operator")
    assert "gempo:exp" in found["exponential"].why and found["square"].why == "gempo:square"
    assert outcomes("sdac", "operator")["linear"].why == EMPTY


def test_a_value_that_only_a_variant_has_runs_with_its_hyperparameters():
    assert outcomes("td3", "critic-output")["gaussian-huber"].outcome == RUNS


def test_a_refusal_names_a_constraint_that_the_cell_breaks():
    for one in outcomes("sdac", "reference").values():
        assert one.outcome == REFUSED
        assert one.why.split(":")[0] in KB.constraints


def test_a_component_that_no_update_reads_is_told_apart():
    """A regression with weights adds no gradient to a noise."""
    assert {one.outcome for one in outcomes("idql", "guidance-scale").values()} == {UNREAD, REFUSED}


def test_the_own_value_is_no_swap():
    assert KB.nodes["sdac"]["route"] not in outcomes("sdac", "route")


@pytest.mark.slow
@pytest.mark.parametrize("name", [node.id for node in executable(KB)])
def test_every_swap_of_a_method_runs_or_is_refused(name):
    """A part may be missing; then the reason says which."""
    for one in swaps(KB, KB.nodes[name]):
        assert one.outcome in (RUNS, UNREAD) or (one.outcome in (REFUSED, NO_PART) and one.why)


def test_a_composed_cell_is_lent_what_it_requires_and_nothing_else():
    """FPMD's fewer steps when acting are optional elsewhere; candidates are not."""
    choice = choose.method(KB, "ppo", composed=True)
    task = bandits.get("moons")
    assert "acting_steps" not in build.settled(KB, choice, task, 20).hyper
    cell = choose.cell(KB, "route=regression-mixed,intermediate-value=soft")
    assert "candidates" in build.settled(KB, cell, task, 20).hyper
