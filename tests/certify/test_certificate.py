"""Published against composed updates. Four methods of four routes by default; all of them when slow tests run."""

import pytest

from flowrl_kb import compose
from flowrl_kb.certify import certificate
from flowrl_kb.kb.load import load

KB = load()
QUICK = (("sdac", "actor"), ("idql", "critic"), ("dppo", "actor"), ("fql", "actor"))
ALL = [(name, slot) for name in KB.cards for slot in certificate.slots(compose.of_node(KB.nodes[name]))]


@pytest.mark.parametrize("name, slot", QUICK)
def test_published_and_composed_updates_agree(name, slot):
    result, _ = certificate.agreement(KB.nodes[name], slot)
    assert result.verdict == "equal", result


@pytest.mark.slow
@pytest.mark.parametrize("name, slot", [pair for pair in ALL if pair not in QUICK])
def test_every_slot_of_every_method_agrees(name, slot):
    result, _ = certificate.agreement(KB.nodes[name], slot)
    assert result.verdict == "equal", result


@pytest.mark.parametrize(
    "name, change", [("sdac", {"source": "replay"}), ("idql", {"reference": "previous", "source": "previous"})]
)
def test_a_changed_coordinate_makes_the_certificate_fail(name, change):
    node = KB.nodes[name]
    hyper = certificate.laboratory_hyper(node)
    published = certificate.fingerprint(compose.of_node(node, hyper=hyper), "actor", node, 1)
    wrong = compose.compose(name, {**node.coordinates, **change}, hyper)
    result = certificate.decide(published, certificate.fingerprint(wrong, "actor", node, 2))
    assert result.verdict == "different", result


def test_a_tenth_more_temperature_is_not_equal():
    node = KB.nodes["sdac"]
    hyper = certificate.laboratory_hyper(node)
    published = certificate.fingerprint(compose.of_node(node, hyper=hyper), "actor", node, 1)
    warmer = compose.of_node(node, composed=True, hyper={**hyper, "temperature": 1.1 * hyper["temperature"]})
    result = certificate.decide(published, certificate.fingerprint(warmer, "actor", node, 2))
    assert result.verdict != "equal", result
