"""Published against composed updates. Cheap slots in full by default; all of them when slow tests run."""

import pytest

from flowrl_kb import compose
from flowrl_kb.certify import certificate, subject
from flowrl_kb.certify.compare import LOOKS
from flowrl_kb.certify.numbers import decide
from flowrl_kb.kb.code import executable
from flowrl_kb.kb.load import load

KB = load()
QUICK = (("td3bc", "actor"), ("idql", "critic"), ("fql", "actor"), ("sdac", "acting"))
OPEN = {
    reason.subject: reason.reason for reason in KB.reasons.values() if reason.finding in ("undecided", "not certified")
}


@pytest.mark.parametrize("name, slot", QUICK)
def test_published_and_composed_updates_agree_on_average(name, slot):
    """The two sides as `compare` sees them, which knows nothing of how their draws are matched."""
    result = certificate.agreement(KB.nodes[name], slot)
    assert result.verdict == "equal", result


@pytest.mark.parametrize("name", sorted({name for name, _ in QUICK}))
def test_certificates_are_made_anew(name):
    rows = certificate.certify(KB.nodes[name])
    assert [row["slot"] for row in rows] == subject.slots(compose.of_node(KB.nodes[name]))
    for row in rows:
        assert row["verdict"] == "equal" and row["level"] == "same-loss", row


@pytest.mark.slow
@pytest.mark.parametrize("name", [node.id for node in executable(KB)])
def test_every_slot_of_every_method_agrees(name):
    for row in certificate.certify(KB.nodes[name]):
        is_open = row["verdict"] == "undecided" and f"{name}:{row['slot']}" in OPEN
        assert row["verdict"] == "equal" or is_open, row


@pytest.mark.parametrize("name", ["sdac", "dppo"])
def test_costly_actors_agree_as_far_as_few_replicates_tell(name):
    """Not different at the first look; the changed coordinates below are, so the look is not blind."""
    node = KB.nodes[name]
    sides = (subject.fingerprint(node, "actor", composed=c) for c in (False, True))
    assert decide(*sides, LOOKS[:1]).verdict != "different"


@pytest.mark.parametrize(
    "name, change",
    [
        ("dppo", {"likelihood": "chain-sum"}),
        ("sdac", {"source": "replay"}),
        ("idql", {"reference": "previous", "source": "previous"}),
    ],
)
def test_a_changed_coordinate_makes_the_certificate_fail(name, change):
    node = KB.nodes[name]
    hyper = subject.laboratory_hyper(node)
    wrong = subject.of_cell(name, {**node.coordinates, **change}, hyper, "actor")
    result = decide(subject.fingerprint(node, "actor"), wrong, LOOKS[:1])
    assert result.verdict == "different", result


def test_a_tenth_more_temperature_is_not_equal():
    node = KB.nodes["sdac"]
    hyper = subject.laboratory_hyper(node)
    warmer = {**hyper, "temperature": 1.1 * hyper["temperature"]}
    changed = subject.fingerprint(node, "actor", composed=True, hyper=warmer)
    result = decide(subject.fingerprint(node, "actor"), changed, LOOKS[:2])
    assert result.verdict != "equal", result
