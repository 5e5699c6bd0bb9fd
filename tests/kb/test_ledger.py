"""The ledger: first values, first combinations, and the same as before, by date and with proof."""

import pytest

from flowrl_kb.kb.ledger import ledger, words


@pytest.fixture
def years(world):
    world.card("ball", "round", "red", date="2020")
    world.card("cube", "square", "green", acting="rank", date="2021-03")
    world.card("apple", "round", "green", date="2022-01")
    world.card("orb", "round", "red", date="2023")
    return world


def entries(world):
    return {entry.id: entry for entry in ledger(world.load()).entries}


def test_kinds_by_date(years):
    found = entries(years)
    assert list(found) == ["ball", "cube", "apple", "orb"]
    assert [e.kind for e in found.values()] == ["new value", "new value", "new combination", "earlier cell"]
    assert {(f.axis, f.value) for f in found["cube"].first} == {
        ("shape", "square"),
        ("color", "green"),
        ("acting", "rank"),
    }
    assert [(e.method, e.axes) for e in found["apple"].nearest] == [("ball", ("color",))]
    assert words(found["orb"]) == ["in the cell of ball; nothing says how far they agree"]


def test_values_of_the_same_month_are_shared(years):
    years.card("tile", "flat", "red", date="2024")
    years.card("plate", "flat", "red", date="2024-07")
    found = entries(years)
    for id, other in (("tile", "plate"), ("plate", "tile")):
        assert [(f.value, f.also) for f in found[id].first] == [("flat", (other,))]


def test_an_unknown_coordinate_of_an_earlier_card_is_a_doubt(years):
    years.card("mist", None, "red", date="2019")
    found = entries(years)
    assert next(f for f in found["cube"].first if f.axis == "shape").perhaps == ("mist",)
    assert "unless mist, unknown there" in words(found["cube"])[0]


def test_same_as_an_earlier_method_with_level_assumptions_and_proof(years):
    years.rule("r", "color=red", "color=green", free=["color"], assumptions=["p"], level="same-target-field")
    found = entries(years)["apple"]
    (line,) = [line for line in words(found) if line.startswith("same")]
    assert line == (
        "same actor as ball (2020) up to color, at same-target-field, assuming p; proved: rule r, same-target-field"
    )
    assert not entries(years)["ball"].same


def test_the_same_as_a_whole_method(years):
    for id, date in (("one", "2024"), ("two", "2025")):
        years.card(id, "flat", "red", date=date, losses={"actor": "l"})
    years.rule("r", "shape=flat", "shape=flat")
    years.rule("act", "acting=identity", "acting=identity", slot="acting")
    found = entries(years)["two"]
    assert [(s.method, s.slot, s.level) for s in found.same] == [("one", "method", "same-update")]


def test_completeness_counts_cards_survey_and_unknowns(years):
    assert "4 cards, no survey; 0 mechanism coordinates unknown" in ledger(years.load()).completeness
    years.card("mist", None, "red", date="2019")
    years.write("taxonomy/scope.yaml", {"surveyed": [{"id": "ball", "name": "Ball"}, {"id": "kite", "name": "Kite"}]})
    text = ledger(years.load()).completeness
    assert text.startswith("among 1 cards of 2 surveyed methods and 4 cards outside the survey; 1 mechanism")
