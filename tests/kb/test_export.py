"""Exports, projections, cells, scaffolds and source code as data."""

import csv
import io
import json

import pytest
import yaml

from flowrl_kb.errors import UserError
from flowrl_kb.kb import cells, code, export, scaffold
from flowrl_kb.kb.project import placements


def test_every_format_of_the_repository(kb):
    data = json.loads(export.to_json(kb))
    assert data["schema_version"] == 1 and set(data["cards"]) == set(kb.cards)
    rows = list(csv.DictReader(io.StringIO(export.to_csv(kb))))
    assert [row["id"] for row in rows] == list(kb.nodes)
    assert all(row[axis] == kb.nodes[row["id"]][axis] for row in rows for axis in kb.axes)
    assert export.to_bibtex(kb).count("@misc{") == len(kb.cards)


def test_the_json_schema_accepts_every_card(kb):
    schema = json.loads(export.to_schema(kb))
    values = schema["properties"]["coordinates"]["properties"]
    for card in kb.cards.values():
        for axis, coordinate in card.coordinates.items():
            assert coordinate.value in values[axis]["properties"]["value"]["enum"]
    assert schema["additionalProperties"] is False


def test_projection_is_computed_and_compared(world):
    world.card("ball", "round", "red")
    world.card("cube", "square", "red")
    world.card("mist", None, "red")
    world.write(
        "taxonomy/projections/p.yaml",
        {
            "id": "p",
            "name": "P",
            "source": "s",
            "functions": {"f": [{"value": "curved", "if": "shape=round"}, {"value": "edged", "if": "shape=square"}]},
            "published": [{"method": "ball", "f": "edged"}, {"method": "cube", "f": "edged"}],
        },
    )
    kb = world.load()
    found = {p.method: (p.computed, p.published, p.agrees) for p in placements(kb, "p")}
    assert found == {
        "ball": ("curved", "edged", False),
        "cube": ("edged", "edged", True),
        "mist": ("unknown", None, None),
    }
    assert kb.query("projection.p.f=curved").satisfies == ("ball",)
    assert kb.query("projection.p.f=curved").may == ("mist",)


def test_cells(world):
    world.card("ball", "round", "red")
    kb = world.load()
    cell = cells.parse(kb, "shape=round, color=red")
    assert [n.id for n in cells.members(kb, cell)[0]] == ["ball"]
    assert {(a, v) for a, v, _ in cells.neighbours(kb, cell)} == {
        ("shape", "square"),
        ("shape", "flat"),
        ("color", "green"),
        ("color", "blue"),
    }
    assert ("color", "blue") not in {(a, v) for a, v, _ in cells.neighbours(kb, cell | {"shape": "flat"})}
    assert [c.id for c in cells.violations(kb, {"shape": "flat", "color": "blue"})] == ["no-flat-blue"]
    for wrong, says in (
        ("shape", "expected axis=value"),
        ("shap=round", "mean shape"),
        ("shape=rond", "mean round"),
        ("shape=round,shape=flat", "given twice"),
    ):
        with pytest.raises(UserError, match=says):
            cells.parse(kb, wrong)


def test_possible_agrees_with_brute_force(kb):
    """Solver against enumeration on the constraints that speak of four axes only."""
    from itertools import product

    from flowrl_kb.kb.evaluate import Condition

    names = ("operator", "reference", "route", "policy")
    small = [c for c in cells.constraints(kb) if c.axes <= set(names)]
    others = [c.constraint.id for c in cells.constraints(kb) if c not in small]
    assert len(small) > 3
    points = [dict(zip(names, p, strict=True)) for p in product(*([v.id for v in kb.axes[a].values] for a in names))]
    legal = [p for p in points if not any(c.broken(p) for c in small)]
    assert 0 < len(legal) < len(points)
    for route in kb.axes["route"].values:
        for operator in kb.axes["operator"].values:
            condition = Condition(kb, f"route={route.id} & operator={operator.id}")
            expected = any(p["route"] == route.id and p["operator"] == operator.id for p in legal)
            assert (cells.possible(kb, condition, without=others) is not None) == expected


def test_a_scaffold_loads_and_claims_nothing(world):
    kb = world.load()
    path = scaffold.write(kb, "new-one")
    card = world.load().cards["new-one"]
    assert {c.value for c in card.coordinates.values()} == {"unknown"}
    before = path.read_text()
    for wrong in ("new-one", "New", "a b"):
        with pytest.raises(UserError):
            scaffold.write(kb, wrong)
    assert path.read_text() == before and yaml.safe_load(before)["id"] == "new-one"


def test_functions_are_found_without_import(tmp_path):
    file = tmp_path / "part.py"
    file.write_text("import nothing_of_that_name\n\n@decorate\ndef rank(x):\n    return x\n\n\ndef b(): pass\n")
    found = code.functions(file)
    assert found["rank"].line == 3 and found["rank"].source.endswith("return x") and "b" in found
    assert code.functions(tmp_path / "absent.py") == {}
    assert code.identifier("return") == "return_" and code.identifier("per-step-chain") == "per_step_chain"


def test_rules_and_projections_can_be_shown(world, capsys):
    from flowrl_kb.kb import show

    world.card("ball", "round", "red")
    world.card("cube", "square", "red")
    world.rule("r", "shape=round", "shape=square", free=["shape"], assumptions=["p"], certificate="c")
    world.verdicts(identities=[{"id": "c", "error": 1e-9, "control_error": 0.4, "passed": True}])
    world.write("taxonomy/projections/p.yaml", {
        "id": "p", "name": "P", "source": "s", "functions": {"f": [{"value": "curved", "if": "shape=round"}]},
        "published": [{"method": "cube", "f": "curved"}],
    })  # fmt: skip
    kb = world.load()
    show.rule(kb, "r")
    out = capsys.readouterr().out
    assert "relates: ball ~ cube" in out and "c: passed, error 1e-09, control 0.4" in out
    show.projection(kb, "p")
    out = capsys.readouterr().out
    assert "cube\tf\tnone\tcurved\tDIFFERS" in out and "ball\tf\tcurved\tnot placed" in out
