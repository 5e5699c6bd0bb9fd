"""Distances of the objects at which losses rest."""

import pytest

from flowrl_kb.certify.resting import predictions
from flowrl_kb.certify.targets import APART, distance, pairs
from flowrl_kb.kb.load import load

KB = load()


def predicted(method, slot="actor"):
    node = KB.nodes[method]
    return node, next(p for p in predictions(node) if p.slot == slot)


def test_the_field_of_the_data_is_one_on_every_path():
    far, _ = distance("actor", predicted("idql"), predicted("ifql"))
    assert KB.nodes["idql"]["path"] != KB.nodes["ifql"]["path"]
    assert far < 1e-4


@pytest.mark.parametrize(("method", "slot"), [("maxentdp", "actor"), ("sql", "value")])
def test_an_object_of_another_temperature_is_apart(method, slot):
    node, prediction = predicted(method, slot)
    colder = node, prediction._replace(exact=prediction.control)
    assert distance(slot, (node, prediction), colder)[0] > APART


def test_objects_of_one_formula_meet_whichever_critic_is_read():
    names = [predicted(method, "value")[1].name for method in ("iql", "dtql")]
    assert names[0] != names[1]
    assert distance("value", predicted("iql", "value"), predicted("dtql", "value"))[0] < 1e-4


def test_only_losses_at_rest_are_compared():
    row = {"slot": "value", "verdict": "stationary", "candidates": {}, "worst_residual": 0.0, "upper_bound": 0.01}
    iql = {**row, "method": "iql", "field": "in-sample value of the target_critic", "margin": 0.02}
    sql = {**row, "method": "sql", "field": "in-sample-linear value of the target_critic", "margin": 0.02}
    (found,) = pairs(KB, [iql, sql])
    assert found["verdict"] == "different" and found["worst_residual"] > APART
    (found,) = pairs(KB, [iql, {**iql, "method": "idql"}])
    assert found["verdict"] == "equal"
    assert not list(pairs(KB, [iql, {**sql, "verdict": "moving"}]))
