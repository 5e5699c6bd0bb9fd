"""Other people's taxonomies: every disagreement is explained, and cells that hold several optima are seen."""

import pytest

from flowrl_kb.kb.load import load
from flowrl_kb.kb.project import placements, shared

KB = load()


@pytest.mark.parametrize("id", KB.projections)
def test_every_disagreement_is_explained(id):
    explained = {method for remark in KB.projections[id].remarks for method in remark.methods}
    apart = {p.method for p in placements(KB, id) if p.agrees is False}
    undecided = {p.method for p in placements(KB, id) if p.published and p.agrees is None}
    assert apart | undecided <= explained


def test_the_paper_places_twenty_four_methods():
    assert len(KB.projections["flowrl-paper"].published) == 24


def test_one_published_cell_holds_four_optima():
    cells = {methods: pairs for _, methods, pairs in shared(KB, "flowrl-paper")}
    pairs = cells["dql", "bdpo", "edp", "fql"]
    assert len(pairs) == 6 and {(p.state, p.level) for p in pairs} == {("apart", "same-target-field")}
    assert [p.state for p in cells["idql", "sfbc"]] == ["same"]


def test_a_cell_is_named_by_what_the_source_printed():
    cells = dict((cell, methods) for cell, methods, _ in shared(KB, "qam-families"))
    assert cells["intermediate-fine-tuning", "guidance"] == ("qsm", "dac")


def test_an_unknown_name_in_a_remark_is_reported(world):
    world.card("ball", "round", "red")
    remark = {"methods": ["bal"], "remark": "Round.", "rests_on": ["no-rule"]}
    world.write("taxonomy/projections/p.yaml", {
        "id": "p", "name": "P", "source": "s", "functions": {"f": [{"value": "curved", "if": "shape=round"}]},
        "published": [{"method": "ball", "f": "curved", "where": "Table 1"}], "remarks": [remark],
    })  # fmt: skip
    found = world.problems()
    assert any("unknown name 'bal'" in p and "did you mean ball?" in p for p in found)
    assert any("unknown name 'no-rule'" in p for p in found) and len(found) == 2
