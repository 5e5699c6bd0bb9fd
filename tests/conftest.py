"""Fixtures shared by all tests."""

import pytest


@pytest.fixture(scope="session")
def kb():
    """The knowledge base of this repository."""
    from flowrl_kb.kb.load import load

    return load()
