"""Verdicts stand while their programs and their judge do, and no longer."""

import pytest

from flowrl_kb.certify import certificate, compare, subject
from flowrl_kb.certify.same_loss import Both
from flowrl_kb.kb.load import load

KB = load()
NODE = KB.nodes["td3bc"]


@pytest.fixture
def unmeasured(monkeypatch):
    """Nothing may be measured."""

    def measured(*_, **__):
        raise AssertionError("measured again")

    for name in ("decide", "_averaged"):
        monkeypatch.setattr(certificate, name, measured)
    monkeypatch.setattr(Both, "row", measured)
    monkeypatch.setattr(certificate, "fill", lambda prints, n: [measured() for _ in prints])


@pytest.fixture(scope="module")
def stored():
    """Rows that say `equal` of the programs as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Both, "row", lambda self: {"verdict": "equal"})
        return certificate.certify(NODE)


def test_equal_programs_keep_their_verdicts_without_a_measurement(unmeasured, stored):
    assert certificate.certify(NODE, stored) == stored


def test_another_program_is_measured(unmeasured, stored):
    other = [row | {"made_from": stored[0]["made_from"]} for row in stored]
    with pytest.raises(AssertionError, match="measured again"):
        certificate.certify(NODE, other)


def test_another_judge_has_everything_measured(unmeasured, stored, monkeypatch):
    monkeypatch.setattr(certificate, "modules_hash", lambda *modules: "0" * 16)
    with pytest.raises(AssertionError, match="measured again"):
        certificate.certify(NODE, stored)


def test_states_of_other_rows_are_noticed_where_the_loss_reads_data():
    """The control of slots without mutants is one: it differs; where no data are read it is the update itself."""
    node = KB.nodes["ppo"]
    published = subject.fingerprint(node, "value")
    wrong = certificate.disturbed(node, "value", "states of other rows")
    assert compare.decide(published, wrong, compare.LOOKS[:2], 1).verdict == "different"
