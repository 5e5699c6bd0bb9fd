"""Loading: every error at once, each with file, line, what was found and the nearest valid name."""

import shutil
import sys

import pytest
import yaml

from flowrl_kb.errors import DataError, UnknownName
from flowrl_kb.kb.files import attempt
from flowrl_kb.kb.load import load


def test_the_repository_loads(kb):
    assert "sdac" in kb.cards
    assert kb.axes["operator"].kind == "mechanism"


def test_a_good_world_has_no_problems(world):
    world.card("ball", "round", "red")
    assert world.problems() == []


def _edit(world, file, old, new):
    path = world.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_all_errors_are_collected_with_lines(world):
    world.card("ball", "rund", "red")
    world.card("cube", "square", "red", sumary="x")
    world.card("disc", "flat", "blue")
    found = world.problems()
    assert any("methods/ball.yaml:9" in p and "did you mean round?" in p for p in found)
    assert any("methods/cube.yaml" in p and "did you mean summary?" in p for p in found)
    assert len(found) == 2  # constraints are checked once names are right


def test_constraint_violations_give_reason_and_values(world):
    world.card("disc", "flat", "blue")
    (problem,) = world.problems()
    assert "violates constraint no-flat-blue: blue needs volume" in problem
    assert "shape=flat" in problem and "color=blue" in problem
    assert problem.startswith("methods/disc.yaml:10:")  # the line of color


def test_unknown_never_violates(world):
    world.card("disc", "flat")
    assert world.problems() == []


def test_variants_are_checked_too(world):
    world.card(
        "disc",
        "flat",
        "red",
        variants=[{"id": "core", "kind": "stripped-core", "summary": "s", "coordinates": {"color": "blue"}}],
    )
    (problem,) = world.problems()
    assert "disc:core violates" in problem


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("date: 2024-05", "date: 24-05", "expected the form"),
        ("date: 2024-05", "date: 2024-05\narxiv: 2502.00361", "write '2502.00361' in quotes"),
        ("date: 2024-05", "date: 2024-05\narxiv: 2402.06120", "write '2402.06120' in quotes"),
        ("date: 2024-05", "date: 2024-05\nrole: metod", "did you mean method?"),
        ("id: ball", "id: bell", "expected the file name 'ball'"),
        ("value: round", "value: no", "write 'no' in quotes"),
        ("value: round", "value: round alias", "did you mean round?"),
        ("title: On ball", "title:", "found nothing"),
        ("summary: A method.\n", "", "missing key 'summary'"),
        ("shape:", "shap:", "did you mean shape?"),
        ("summary: A method.", "summary: A method.\nlaw: {kind: none, statement: s}", "needs a reason"),
        (
            "summary: A method.",
            "summary: A method.\nhyperparameters: {temperature: {value: 1e-3, source: s}}",
            "1.0e-3",
        ),
    ],
)
def test_one_defect_is_one_line(world, old, new, expected):
    world.card("ball", "round", "red")
    _edit(world, "methods/ball.yaml", old, new)
    (problem,) = [p for p in world.problems() if expected in p]
    assert problem.startswith("methods/ball.yaml:") and "\n" not in problem


def test_an_arxiv_id_is_one_problem_only(world):
    world.card("ball", "round", "red", arxiv="2402.06120")
    _edit(world, "methods/ball.yaml", "'2402.06120'", "2402.06120")
    assert len(world.problems()) == 1


def test_aliases_are_unique(world):
    world.card("ball", "round", "red", aliases=["Orb"])
    world.card("cube", "square", "red", aliases=["orb"])
    assert any("already names ball" in p for p in world.problems())


def test_a_broken_axis_does_not_bury_its_own_error(world):
    world.card("ball", "round", "red")
    _edit(world, "taxonomy/axes/shape.yaml", "kind: mechanism", "kind: mechanic")
    (problem,) = world.problems()
    assert "did you mean mechanism?" in problem


def test_queries_inside_data_are_checked(world):
    world.rule("r", "shape=rond", "shape=square")
    world.write(
        "taxonomy/projections/p.yaml",
        {
            "id": "p",
            "name": "P",
            "source": "s",
            "functions": {"f": [{"value": "x", "if": "colour=red"}]},
            "published": [{"method": "ball", "f": "y"}],
        },
    )
    found = world.problems()
    assert any("taxonomy/rules/r.yaml:5" in p and "did you mean round?" in p for p in found)
    assert any("taxonomy/projections/p.yaml" in p and "did you mean color?" in p for p in found)
    assert any("unknown value 'y' of f" in p for p in found)


def test_rules_may_not_depend_on_rules(world):
    world.card("ball", "round", "red")
    world.rule("r", "equiv(ball)", "any()")
    assert any("may not be used here" in p for p in world.problems())


def test_warnings_are_not_errors(world):
    world.card(
        "ball",
        "round",
        hyperparameters={"temprature": {"value": 1, "source": "s"}},
        relations=[{"to": "cube", "kind": "same-as", "evidence": "e"}],
    )
    kb = world.load()
    shown = "\n".join(map(str, kb.warnings))
    assert "did you mean temperature?" in shown and "not catalogued yet" in shown and "unknown: color" in shown


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(DataError) as error:
        load(tmp_path / "nowhere")
    assert len(error.value.lines) == 1


def test_names_resolve_in_any_case_and_through_aliases(world):
    world.card(
        "ball",
        "round",
        "red",
        aliases=["Orb"],
        variants=[{"id": "core", "kind": "stripped-core", "summary": "s"}],
    )
    kb = world.load()
    assert kb.resolve("ORB").id == kb.resolve("Ball").id == "ball"
    assert kb.resolve("orb:Core").id == "ball:core"
    with pytest.raises(UnknownName, match="did you mean ball"):
        kb.resolve("bal")
    with pytest.raises(UnknownName, match="core"):
        kb.resolve("ball:cor")


def calls(function):
    """How many functions a call calls: a measure of its work that does not depend on the machine."""
    count = 0

    def seen(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        result = function()
    finally:
        sys.setprofile(None)
    return count, result


def test_the_work_of_loading_grows_linearly_with_cards(world):
    real = load()
    shutil.rmtree(world.root / "taxonomy")
    shutil.copytree(real.root / "taxonomy", world.root / "taxonomy")
    card = yaml.safe_load((real.root / "methods" / "sdac.yaml").read_text()) | {"relations": []}
    work = []
    for n in (20, 20, 60, 100):  # the first reading also fills what the process keeps
        for i in range(n):
            id = f"m{i}"
            world.write(f"methods/{id}.yaml", card | {"id": id, "name": id, "aliases": [f"alias {i}"]})
        count, (kb, problems) = calls(lambda: attempt(world.root))
        assert len(kb.cards) == n and not [p for p in problems if p.path.startswith("methods")]
        work.append(count)
    assert work[3] - work[2] < 1.05 * (work[2] - work[1])


def test_a_card_may_leave_out_an_axis_with_an_absent_value(world):
    axis = yaml.safe_load((world.root / "taxonomy/axes/finish.yaml").read_text()) | {"id": "coat", "name": "Coat"}
    world.write("taxonomy/axes/coat.yaml", axis | {"absent": "gloss"})
    world.card("a", "round", "red")
    assert world.load().nodes["a"]["coat"] == "gloss"
    world.write("taxonomy/axes/coat.yaml", axis | {"absent": "glos"})
    assert any("unknown value 'glos' of coat" in problem for problem in world.problems())
