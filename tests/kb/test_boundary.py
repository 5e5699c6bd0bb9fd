"""Cards at the boundary: on the map, with a reason, and without losses that anything would wait for."""

import pytest
from pydantic import ValidationError

from flowrl_kb.kb import one_screen
from flowrl_kb.kb.code import published
from flowrl_kb.kb.findings import findings
from flowrl_kb.kb.load import load
from flowrl_kb.kb.schema import Card
from flowrl_kb.kb.unsettled import compared_nodes

KB = load()
BOUNDARY = [card for card in KB.cards.values() if card.role == "boundary"]


def test_boundary_cards_have_a_reason_a_cell_and_no_losses():
    assert {card.id for card in BOUNDARY} >= {"td7", "diff-sr", "ctrl-sr"}
    for card in BOUNDARY:
        assert card.scope and not published(card.id)
        assert KB.nodes[card.id]["route"] != "unknown"


def test_nothing_waits_for_them():
    ids = {card.id for card in BOUNDARY}
    assert not ids & {node.card.id for node in compared_nodes(KB)}
    assert not any(ids & set(finding.subject.split(" ~ ")) for finding in findings(KB) if finding.kind == "open pair")
    assert not any(finding.subject in ids for finding in findings(KB) if finding.kind == "not certified")


def test_queries_find_them_and_show_says_why(capsys):
    assert KB.query("role=boundary & route=pathwise").satisfies == ("td7",)
    one_screen.method(KB, KB.nodes["td7"])
    out = capsys.readouterr().out
    assert "at the boundary of the map:" in out and "no losses of its own" in out


@pytest.mark.parametrize("changed", [{"scope": None}, {"role": "method"}])
def test_a_boundary_and_its_reason_need_each_other(changed):
    data = KB.cards["td7"].model_dump() | changed
    with pytest.raises(ValidationError, match="need each other"):
        Card.model_validate(data)
