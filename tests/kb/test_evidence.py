"""A coordinate is tested only by a fresh certificate whose mutations all fail."""

from flowrl_kb.kb.evidence import not_separated, status
from flowrl_kb.kb.verdicts import card_hash

CERTIFICATE = {"method": "ball", "slot": "actor", "level": "same-update", "verdict": "equal"}


def _mutation(verdict, to="square"):
    return {
        "method": "ball",
        "axis": "shape",
        "from": "round",
        "to": to,
        "verdict": verdict,
        "worst_residual": 1.0,
    }


def _status(world, **lists):
    world.verdicts(**lists)
    return status(world.load(), "ball", "shape")


def test_status(world):
    world.card("ball", "round")
    fresh = CERTIFICATE | {"card_hash": card_hash(world.load().cards["ball"])}
    assert status(world.load(), "ball", "color") == "unknown"
    assert status(world.load(), "ball", "shape") == "asserted"
    assert _status(world, certificates=[fresh], mutations=[_mutation("different")]) == "tested"
    assert _status(world, certificates=[fresh]) == "asserted"
    assert _status(world, mutations=[_mutation("different")]) == "asserted"
    assert (
        _status(world, certificates=[fresh | {"verdict": "undecided"}], mutations=[_mutation("different")])
        == "asserted"
    )
    both = [_mutation("different"), _mutation("not-separated", "flat")]
    assert _status(world, certificates=[fresh], mutations=both) == "asserted"
    assert not_separated(world.load(), "ball", "shape") == ["flat"]
    stale = fresh | {"card_hash": "0" * 16}
    assert _status(world, certificates=[stale], mutations=[_mutation("different")]) == "asserted"
    assert any("stale" in str(w) for w in world.load().warnings)


def test_the_hash_sees_coordinates_and_settings_but_not_prose(world):
    world.card("ball", "round", "red")
    first = card_hash(world.load().cards["ball"])
    world.card("ball", "round", "red", errata=[{"where": "p. 1", "what": "sign"}])
    assert card_hash(world.load().cards["ball"]) == first
    world.card("ball", "round", "green")
    assert card_hash(world.load().cards["ball"]) != first
    world.card("ball", "round", "red", hyperparameters={"temperature": {"value": 1, "source": "s"}})
    assert card_hash(world.load().cards["ball"]) != first


def test_a_damaged_verdict_file_is_one_line(world):
    world.write("taxonomy/verdicts.json", '{"schema": 1,\n oops}')
    (problem,) = world.problems()
    assert problem.startswith("taxonomy/verdicts.json:2")
    world.verdicts(pairs=[{"a": "x"}])
    assert all(p.startswith("taxonomy/verdicts.json") for p in world.problems())
