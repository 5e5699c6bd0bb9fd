"""A published loss and its composed cell share no code, and the card is the only place with numbers."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import flowrl_kb.published
from flowrl_kb import compose
from flowrl_kb.kb.code import executable, module
from flowrl_kb.kb.load import load

FOLDER = Path(flowrl_kb.published.__file__).parent
KB = load()
EXECUTABLE = [node.id for node in executable(KB, variants=True)]
CARDS = {f"flowrl_kb.published.{module(id)}" for id in KB.cards}
ALLOWED = {"functools", "jax", "jax.numpy", "flowrl_kb.parts.types"}
EARLIER = {"dacerv2": {"flowrl_kb.published.dacer"}}
"""What a later version of a method keeps it takes from the first."""


@pytest.mark.parametrize("file", sorted(FOLDER.glob("[a-z]*.py")), ids=lambda f: f.stem)
def test_published_losses_import_only_jax_and_types(file):
    # What a variant shares with its method it takes from there.
    own = {card for card in CARDS if f"flowrl_kb.published.{file.stem}".startswith(f"{card}_")}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= ALLOWED
        if isinstance(node, ast.ImportFrom):
            assert node.module in ALLOWED | own | EARLIER.get(file.stem, set())


def test_a_card_without_published_losses_is_open_for_a_stated_reason():
    stated = {reason.subject for reason in KB.reasons.values() if reason.finding == "not certified"}
    boundary = {card.id for card in KB.cards.values() if card.scope}
    assert set(KB.cards) - set(EXECUTABLE) - boundary <= stated


@pytest.mark.parametrize("name", EXECUTABLE)
def test_published_losses_take_arguments_that_the_card_lists(name):
    losses = import_module(f"flowrl_kb.published.{module(name)}")
    listed = set(compose.hyperparameters(KB.nodes[name])) | {"box"}
    trained = [what for what, kind in losses.TRAINS.items() if kind != "flat"]
    for function in [losses.act, *(getattr(losses, f"{what}_loss") for what in trained)]:
        wanted = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        assert {p.name for p in wanted} <= listed
        assert all(p.default is p.empty or (p.name == "box" and p.default is None) for p in wanted)


@pytest.mark.parametrize("name", EXECUTABLE)
def test_composed_cells_train_what_the_paper_trains(name):
    node = KB.nodes[name]
    hyper = compose.hyperparameters(node)
    published, composed = compose.published(name, hyper), compose.of_node(node, composed=True)
    assert dict(composed.trains) == dict(published.trains)


def test_nothing_in_the_parts_asks_which_method_it_serves():
    root = FOLDER.parent
    for file in [root / "compose.py", *(root / "parts").glob("*.py")]:
        words = {
            n.value
            for n in ast.walk(ast.parse(file.read_text()))
            if isinstance(n, ast.Compare)
            for n in ast.walk(n)
            if isinstance(n, ast.Constant)
        }
        assert not words & set(KB.cards), f"{file.name} compares with a method's name"
