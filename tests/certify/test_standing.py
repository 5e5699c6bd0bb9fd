"""Verdicts stand while their programs and their judge do, and no longer."""

import pytest

from flowrl_kb import compose
from flowrl_kb.certify import certificate, compare, store, subject
from flowrl_kb.kb.load import load

KB = load()
NODE = KB.nodes["td3bc"]


@pytest.fixture
def unmeasured(monkeypatch):
    """Nothing may be measured."""

    def measured(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(certificate, "decide", measured)
    monkeypatch.setattr(certificate, "fill", lambda prints, n: [measured() for _ in prints])


def stored():
    """Rows that say `equal` of the programs as they are."""
    method = compose.of_node(NODE, hyper=subject.laboratory_hyper(NODE))
    asked = ("actor", "critic", "acting")
    rows = [certificate._key(NODE, method, slot, *certificate.sides(NODE, slot)) for slot in asked]
    return {"certificates": [{**row, "verdict": "equal", "control": "c"} for row in rows], "mutations": []}


def test_equal_programs_keep_their_verdicts_without_a_measurement(unmeasured):
    rows = stored()
    assert certificate.certify(KB, NODE, False, rows)[0] == rows["certificates"]


def test_another_program_is_measured(unmeasured):
    rows = stored()
    rows["certificates"][1]["made_from"] = rows["certificates"][0]["made_from"]
    with pytest.raises(AssertionError, match="measured again"):
        certificate.certify(KB, NODE, False, rows)


def test_another_judge_has_everything_measured(unmeasured, monkeypatch):
    rows = stored()
    monkeypatch.setattr(store, "modules_hash", lambda *modules: "0" * 16)
    with pytest.raises(AssertionError, match="measured again"):
        certificate.certify(KB, NODE, False, rows)


def test_states_of_other_rows_are_noticed_where_the_loss_reads_data():
    """The control of slots without mutants is one: it differs; where no data are read it is the update itself."""
    node = KB.nodes["ppo"]
    published = subject.fingerprint(node, "value")
    wrong = certificate.disturbed(node, "value", "states of other rows")
    assert compare.decide(published, wrong, compare.LOOKS[:2], 1).verdict == "different"
