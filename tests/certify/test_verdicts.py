"""The committed verdicts belong to the committed cards and code."""

import pytest

from flowrl_kb.certify import coupling, identities, measure, store
from flowrl_kb.certify.compare import MARGIN, WIDE
from flowrl_kb.kb.load import load

KB = load()
DATA = store.read(KB)


CERTIFIED = sorted({row["method"] for row in DATA["certificates"]})
OPEN = {(reason.finding, reason.subject) for reason in KB.reasons.values()}
"""What stays open for a reason that `taxonomy/open.yaml` states and `flowrl-kb open` shows."""


def test_a_method_without_a_certificate_is_open_for_a_stated_reason():
    inside = {card.id for card in KB.cards.values() if not card.scope}  # a boundary card states why on itself
    assert {("not certified", name) for name in inside - set(CERTIFIED)} <= OPEN


@pytest.mark.parametrize("name", CERTIFIED)
def test_every_method_has_fresh_and_equal_certificates(name):
    rows = [row for row in DATA["certificates"] if row["method"] == name]
    trained = set() if KB.nodes[name]["policy"] == "flat" else {"actor"}
    assert {"acting", *trained} <= {row["slot"] for row in rows}
    for row in rows:
        if row["verdict"] == "undecided":
            assert ("undecided", f"{name}:{row['slot']}") in OPEN, row
            continue
        assert row["verdict"] == "equal" and row["control"]["verdict"] == "different", row
        if row["margin"] == coupling.MARGIN:  # no average was estimated
            assert row["worst_residual"] < row["margin"] <= row["control"]["worst_residual"]
        else:
            assert row["level"] == "same-update" and row["margin"] in (MARGIN, WIDE), row
            assert row["upper_bound"] <= row["margin"]  # rounded: the verdict is from a bound below the margin


@pytest.mark.parametrize("name", CERTIFIED)
def test_no_verdict_of_a_method_is_stale(name):
    node = KB.nodes[name]
    of = lambda what: [row for row in DATA[what] if row["method"] == name]  # noqa: E731
    assert measure.certificates_are_fresh(node, of("certificates")), "stale: run flowrl-kb certify --write"
    assert measure.mutations_are_fresh(node, of("mutations")), "stale: run flowrl-kb certify --deep --write"
    assert measure.rest_is_fresh(node, of("stationarity")), "stale, as the mutations"


@pytest.mark.parametrize("name", CERTIFIED)
def test_some_changed_coordinate_made_each_method_fail(name):
    rows = [m for m in DATA["mutations"] if m["method"] == name and m["verdict"] == "different" and m["worst_residual"]]
    assert rows, "no negative control"


def test_every_identity_is_recorded_as_passed():
    assert {row["id"] for row in DATA["identities"] if row["passed"]} == set(identities.IDENTITIES)


def test_every_witness_is_recorded_as_standing():
    assert {row["id"] for row in DATA["witnesses"] if row["passed"]} == set(KB.witnesses)


def test_no_published_loss_moves_at_the_field_of_its_card_and_every_control_does():
    assert DATA["stationarity"]
    for row in DATA["stationarity"]:
        assert row["verdict"] != "moving" and row["control"]["verdict"] == "moving", row


def test_the_two_routes_agree_on_the_shared_core_of_dql_and_dppo():
    row = next(p for p in DATA["pairs"] if {p["a"], p["b"]} == {"dql:core", "dppo:core"} and p["verdict"] == "equal")
    assert (row["slot"], row["level"]) == ("actor", "same-update-at-old")
    assert row["variance_ratio"] < 0.2 or row["variance_ratio"] > 5, "the two estimators have different variances"


def test_actors_of_two_cells_that_agree_as_measured_have_a_proof():
    """Others would be discovered equivalences; each needs a rule, or a written reason in taxonomy/open.yaml."""
    equal = [p for p in DATA["pairs"] if p["verdict"] == "equal" and p["slot"] == "actor"]
    assert equal
    for p in equal:
        one, other = KB.nodes[p["a"]], KB.nodes[p["b"]]
        if all(one[axis.id] == other[axis.id] for axis in KB.actor_axes):
            continue  # one cell: that they agree is what it says
        assert any(link.kind == "proved" for link in KB.relate(p["a"], p["b"]).links), p
