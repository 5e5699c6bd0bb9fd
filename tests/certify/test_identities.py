"""Identities hold within their declared bounds, their controls fail, and the tools they share are right."""

import json

import numpy as np
import pytest

from flowrl_kb.certify import identities
from flowrl_kb.certify.identities import laws, problem, registry
from flowrl_kb.kb.load import load

RULES = load().rules


@pytest.mark.parametrize("name", identities.IDENTITIES)
def test_identity_holds_and_its_control_fails(name):
    error, control = identities.IDENTITIES[name]()
    assert error < identities.BOUNDS[name].tolerance
    assert control > identities.BOUNDS[name].control


def test_every_rule_that_names_an_identity_names_one_that_exists():
    named = {rule.certificate for rule in RULES.values() if rule.certificate}
    assert named <= set(identities.IDENTITIES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_every_rule_has_a_certificate_a_control_and_a_source(rule):
    assert rule.certificate and rule.control and rule.references


def test_a_control_as_small_as_the_tolerance_is_refused():
    with pytest.raises(ValueError, match="controls nothing"):
        registry.identity(tolerance=0.1, control=0.1)


def test_an_identity_whose_control_passes_is_not_passed():
    name = next(iter(identities.IDENTITIES))
    bounds = identities.BOUNDS[name]
    assert identities.passed(name, 0.0, 2 * bounds.control)
    assert not identities.passed(name, 0.0, bounds.tolerance)
    assert not identities.passed(name, 2 * bounds.tolerance, 2 * bounds.control)


def test_rows_can_be_stored(monkeypatch):
    name = next(iter(identities.IDENTITIES))
    monkeypatch.setattr(identities, "IDENTITIES", {name: lambda: (np.float64(0.0), np.float64(9.0))})
    assert json.loads(json.dumps(identities.run())) == [
        {"id": name, "error": 0.0, "control_error": 9.0, "passed": True}
    ]


def test_laws_by_hand():
    nu, q = np.array([0.5, 0.5]), np.array([0.0, 1.0])
    assert laws.exponential(nu, q, 1 / np.log(3)) == pytest.approx([0.25, 0.75])
    assert laws.linear(nu, q, 1.0) == pytest.approx([0.25, 0.75])  # c = 1/2
    assert laws.linear(nu, q, 0.25) == pytest.approx([0.0, 1.0])  # the cut is active
    # lambda / 2 (1 / c + 1 / (c - 1)) = 1 at lambda = 4/3, c = 2
    assert laws.reciprocal(nu, q, 4 / 3) == pytest.approx([1 / 3, 2 / 3])
    assert laws.best_of(nu, q, 3) == pytest.approx([1 / 8, 7 / 8])
    # N = 2, weights 1 and 3: pairs (0,0), (0,1) twice, (1,1)
    assert laws.self_normalised(nu, np.array([1.0, 3.0]), 2) == pytest.approx([0.375, 0.625])


def test_the_value_and_its_derivatives_belong_together():
    a = np.linspace(-2, 2, 9)
    assert problem.slope(problem.q, a) == pytest.approx(problem.q_slope(a), abs=1e-9)
    assert problem.slope(problem.q_slope, a) == pytest.approx(problem.q_curvature(a), abs=1e-9)
