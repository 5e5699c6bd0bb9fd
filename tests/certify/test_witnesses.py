"""Witnesses reach the figure that was fixed beforehand, their controls do not, and no proof contradicts them."""

from pathlib import Path

import pytest
import yaml

from flowrl_kb.certify.witnesses import WITNESSES, holds
from flowrl_kb.kb.evaluate import Condition
from flowrl_kb.kb.levels import LEVELS
from flowrl_kb.kb.load import load
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.truth import YES

KB = load()
FILES = sorted((Path(KB.root) / "taxonomy" / "witnesses").glob("*.yaml"))
CARDS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
KEYS = {"id", "name", "statement", "problem", "measure", "separates", "at_least", "certificate", "references"}
OUTSIDE = {("sdac:flow-rl", "idem:flow-rl"), ("sdac:flow-rl", "idem:maxentdp")}
"""Pairs as coded on a box, where the proof assumes an unbounded action space."""


def pairs(card):
    """The (a, b, level, slot) of catalogued nodes that a witness separates."""
    for row in card["separates"]:
        left, right = Condition(KB, row["a"]), Condition(KB, row["b"])
        for a in KB.nodes.values():
            for b in KB.nodes.values():
                if left.of(a) == YES and right.of(b) == YES:
                    yield a.id, b.id, row["level"], row.get("slot", "actor")


def test_every_certificate_has_a_file_and_every_file_a_certificate():
    assert {card["certificate"] for card in CARDS.values()} == set(WITNESSES)


@pytest.mark.parametrize("name", CARDS)
def test_a_witness_file_has_the_agreed_keys(name):
    card = CARDS[name]
    assert set(card) == KEYS and card["id"] == name
    assert all(set(row) - {"slot"} == {"a", "b", "level"} and row["level"] in LEVELS for row in card["separates"])


@pytest.mark.parametrize("name", CARDS)
def test_a_witness_shows_its_difference_and_its_control_does_not(name):
    figure, control = WITNESSES[CARDS[name]["certificate"]]()
    assert holds(figure, control, CARDS[name]["at_least"]), (figure, control)


@pytest.mark.parametrize("name", CARDS)
def test_no_witness_separates_what_a_rule_proves_equal(name):
    known = knowledge(KB)
    for a, b, level, slot in pairs(CARDS[name]):
        assert a != b
        proof = known.proofs(a, level, slot).get(b)
        if (a, b) in OUTSIDE:
            assert proof is not None and any("unbounded" in assumption for assumption in proof.assumptions)
        else:
            assert proof is None, (a, b, level, proof and proof.sources)


def test_a_figure_below_the_mark_or_a_control_near_it_does_not_count():
    assert holds(0.2, 0.001, 0.1)
    assert not holds(0.09, 0.001, 0.1)
    assert not holds(0.2, 0.01, 0.1)
