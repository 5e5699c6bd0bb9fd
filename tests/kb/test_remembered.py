"""A stored copy of the knowledge base answers as the files do, and only for exactly those files."""

import pickle
from dataclasses import replace

import pytest

from flowrl_kb.errors import DataError
from flowrl_kb.kb import remembered
from flowrl_kb.kb.files import attempt
from flowrl_kb.kb.load import APART, data_root, load


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "flowrl-kb"


@pytest.fixture
def root(tmp_path):
    import shutil

    for part in ("taxonomy", "methods"):
        shutil.copytree(data_root() / part, tmp_path / "root" / part)
    return tmp_path / "root"


def test_the_copy_equals_what_the_files_say(cache):
    load()
    assert len(list(cache.glob("*.pickle"))) == 1 + len(APART)
    copy, (read, problems) = remembered.recall(remembered.stamp(data_root())), attempt()
    assert not problems
    for name in ("axes", "constraints", "terms", "rules", "projections", "arrows", "witnesses", "reasons", "cards"):
        assert getattr(copy, name) == getattr(read, name)
    assert copy.verdicts == read.verdicts
    assert {n.id: n.coordinates for n in copy.nodes.values()} == {n.id: n.coordinates for n in read.nodes.values()}
    assert copy.place("card", "sdac", "coordinates") == read.place("card", "sdac", "coordinates")
    assert str(copy.relate("dql", "dppo")) == str(read.relate("dql", "dppo"))


@pytest.mark.parametrize("part", APART)
def test_parts_that_are_stored_apart_are_read_when_asked_for_and_from_the_files_without_a_copy(cache, part):
    load()
    one, other = (remembered.recall(remembered.stamp(data_root())) for _ in range(2))
    assert part not in vars(one)
    read = getattr(attempt()[0], part)
    assert getattr(one, part) == read
    for file in cache.glob("*.pickle"):
        file.unlink()
    assert getattr(other, part) == read


def test_what_is_derived_is_stored_once_it_was_asked_for(cache):
    kb = load()
    assert not remembered.recall(remembered.stamp(data_root()))._derived
    kb.derived("answer", lambda kb: len(kb.cards))
    assert load().derived("answer", lambda kb: pytest.fail("made again")) == len(kb.cards)


def test_two_folders_do_not_displace_each_other(cache, root):
    load()
    load(root)
    assert all(remembered.recall(remembered.stamp(folder)) for folder in (data_root(), root))


def test_only_the_copies_written_last_are_kept(cache, monkeypatch, root):
    monkeypatch.setattr(remembered, "COPIES", 1 + len(APART))
    load()
    load(root)
    assert len(list(cache.glob("*.pickle"))) == 1 + len(APART)
    assert remembered.recall(remembered.stamp(root))


def test_a_changed_copy_is_not_stored(cache):
    kb = replace(load(), cards={})
    kb.derived("answer", lambda kb: len(kb.cards))
    assert load().cards


def test_a_changed_card_is_read_anew(cache, root):
    load(root)
    card = root / "methods" / "sdac.yaml"
    card.write_text(card.read_text().replace("name: SDAC", "name: SDAD"))
    assert load(root).cards["sdac"].name == "SDAD"


def test_every_file_that_is_read_or_asked_for_is_in_the_stamp():
    names = {name for name, *_ in remembered.stamp(data_root())[2]}
    for part in ("taxonomy/verdicts.json", "taxonomy/scope.yaml", "taxonomy/axes/operator.yaml", "methods/sdac.yaml"):
        assert str(data_root() / part) in names
    assert {str(f) for f in (remembered.CODE / "published").glob("*.py")} <= names


def test_a_new_problem_is_not_hidden_by_the_copy(cache, root):
    load(root)
    card = root / "methods" / "sdac.yaml"
    card.write_text(card.read_text().replace("operator: {value: exponential", "operator: {value: exponentiel"))
    with pytest.raises(DataError):
        load(root)


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps("another stamp"), b"\x80\x05cnowhere\nNo\n."])
def test_a_copy_that_cannot_be_read_counts_as_none(cache, root, content):
    file = remembered._file(remembered.stamp(root), "")
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert load(root).cards["sdac"].id == "sdac"


def test_a_folder_that_cannot_be_written_stores_nothing(tmp_path, monkeypatch, root):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load(root).cards["sdac"].id == "sdac"
