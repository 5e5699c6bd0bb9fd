"""Strict YAML: what YAML 1.1 would silently misread is reported with its line."""

import pytest

from flowrl_kb.kb.source import read


def _read(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return read(path, "x.yaml")


@pytest.mark.parametrize(
    ("text", "reads_as"),
    [
        ("a: 1\nb: no\n", "boolean"),
        ("a: 1\nb: On\n", "boolean"),
        ("a: 1\nb: 1e-3\n", "text"),
        ("a: 1\nb: 3.e4\n", "text"),
        ("a: 1\nb: 010\n", "another number"),
        ("a: 1\nb: 1:30\n", "another number"),
        ("a: 1\nb: 1_000\n", "another number"),
        ("a: 1\nb: 2024-05-01\n", "a date"),
    ],
)
def test_surprising_scalars_are_reported(tmp_path, text, reads_as):
    (problem,) = _read(tmp_path, text).problems
    assert problem.line == 2 and reads_as in problem.message


def test_plain_scalars_keep_their_meaning(tmp_path):
    source = _read(tmp_path, "a: 1.0e-3\nb: 'no'\nc: [1, -2]\nd: true\ne:\nf: 2502.00361\n")
    assert source.data == {"a": 1e-3, "b": "no", "c": (1, -2), "d": True, "e": None, "f": 2502.00361}
    assert not source.problems


def test_the_suggested_spelling_of_an_exponent_is_a_number(tmp_path):
    (problem,) = _read(tmp_path, "a: 1e5\n").problems
    spelling = problem.message.split("write ")[1].split()[0]
    assert _read(tmp_path, f"a: {spelling}\n").data == {"a": 1e5}


def test_duplicate_keys_name_both_lines(tmp_path):
    (problem,) = _read(tmp_path, "a: 1\nb: 2\na: 3\n").problems
    assert problem.line == 3 and "line 1" in problem.message


@pytest.mark.parametrize("text", ["a: [1\nb: 2\n", "a:\n\tb: 1\n", "a: 'x\n", ""])
def test_broken_files_are_one_problem(tmp_path, text):
    source = _read(tmp_path, text)
    assert source.data is None and len(source.problems) == 1


def test_tabs_are_named(tmp_path):
    (problem,) = _read(tmp_path, "a:\n\tb: 1\n").problems
    assert problem.line == 2 and "spaces" in problem.message


def test_lines_of_nested_places(tmp_path):
    source = _read(tmp_path, "a:\n  - b: 1\n  - c: 2.50\n")
    assert source.line(("a", 1, "c")) == 3
    assert source.line(("a", 1, "nothing")) == 3
    assert source.written(("a", 1, "c")) == "2.50"
