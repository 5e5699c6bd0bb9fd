"""Identities hold to rounding and their controls fail."""

import pytest

from flowrl_kb.certify import identities
from flowrl_kb.kb.load import load


@pytest.mark.parametrize("name", identities.IDENTITIES)
def test_identity_holds_and_its_control_fails(name):
    error, control = identities.IDENTITIES[name]()
    assert error < identities.TOLERANCE
    assert control > identities.CONTROL


def test_every_rule_that_names_an_identity_names_one_that_exists():
    named = {rule.certificate for rule in load().rules.values() if rule.certificate}
    assert named <= set(identities.IDENTITIES)
