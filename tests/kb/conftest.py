"""A toy world: two axes of the actor, one of acting, one conditional, and cards written by each test."""

import json

import pytest
import yaml

from flowrl_kb.kb.files import attempt
from flowrl_kb.kb.load import load


def _axis(id, kind, order, values):
    axis = {"id": id, "name": id.capitalize(), "kind": kind, "order": order, "question": "Which?"}
    if kind == "conditional":
        axis |= {"cosmetic_when": "capacity is unlimited.", "mechanism_when": "steps are few."}
    axis["values"] = [
        {"id": v, "definition": f"{v}.", "formula": v, "test": f"is {v}.", "synonyms": [f"{v} alias"]} for v in values
    ]
    return axis


class World:
    """A folder of data files that tests write into."""

    def __init__(self, root):
        self.root = root
        for folder in ("taxonomy/axes", "taxonomy/rules", "taxonomy/projections", "taxonomy/witnesses", "methods"):
            (root / folder).mkdir(parents=True)
        for axis in (
            _axis("shape", "mechanism", 1, ["round", "square", "flat"]),
            _axis("color", "mechanism", 2, ["red", "green", "blue"]),
            _axis("acting", "mechanism", 3, ["identity", "rank"]) | {"slot": "acting"},
            _axis("finish", "conditional", 4, ["matte", "gloss"]),
        ):
            self.write(f"taxonomy/axes/{axis['id']}.yaml", axis)
        self.write(
            "taxonomy/constraints.yaml",
            [
                {
                    "id": "no-flat-blue",
                    "if": "shape=flat",
                    "then": "~color=blue",
                    "because": "blue needs volume",
                }
            ],
        )
        every = ["actor", "critic", "value", "behaviour", "log_temperature"]
        self.write(
            "taxonomy/arrows.yaml",
            [
                {"id": "lu", "from": "same-loss", "to": "same-update", "slots": every, "because": "b"},
                {"id": "uo", "from": "same-update", "to": "same-update-at-old", "slots": every, "because": "b"},
                {"id": "ut", "from": "same-update", "to": "same-target-field", "slots": ["actor"], "because": "b"}
                | {"if": "~color=green"},
                {"id": "tl", "from": "same-target-field", "to": "same-executed-law", "slots": ["actor"]}
                | {"together_with": ["acting"], "assuming": ["exact solver"], "because": "b"},
            ],
        )
        self.write("taxonomy/terms.yaml", [{"id": "temperature", "symbol": "t", "definition": "A divisor."}])

    def write(self, path, data):
        text = data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False)
        (self.root / path).write_text(text)

    def card(self, id, shape=None, color=None, acting="identity", finish="matte", **more):
        coordinates = {"shape": shape, "color": color, "acting": acting, "finish": finish}
        self.write(
            f"methods/{id}.yaml",
            {
                "id": id,
                "name": id.upper(),
                "title": f"On {id}",
                "authors": "A. Author",
                "date": "2024-05",
                "summary": "A method.",
                "coordinates": {a: {"value": v} for a, v in coordinates.items() if v},
                **more,
            },
        )

    def rule(self, id, a, b, level="same-update", free=(), assumptions=(), **more):
        self.write(
            f"taxonomy/rules/{id}.yaml",
            {
                "id": id,
                "name": id,
                "level": level,
                "between": {"a": a, "b": b},
                "free": list(free),
                "assumptions": list(assumptions),
                "statement": "s",
                "derivation": "d",
                **more,
            },
        )

    def witness(self, id, a, b, level="same-update", slot="actor", **more):
        self.write(
            f"taxonomy/witnesses/{id}.yaml",
            {
                "id": id,
                "name": id,
                "statement": "They differ.",
                "problem": "One state, two actions.",
                "measure": "Distance of the gradients.",
                "separates": [{"a": a, "b": b, "level": level, "slot": slot}],
                "at_least": 0.1,
                "certificate": id.replace("-", "_"),
                **more,
            },
        )

    @staticmethod
    def seen(id, figure=0.3, passed=True):
        return {"id": id, "figure": figure, "control_figure": 0.0, "passed": passed}

    def verdicts(self, **lists):
        self.write("taxonomy/verdicts.json", json.dumps({"schema": 1, "made": {}, **lists}))

    @staticmethod
    def pair(a, b, verdict, level="same-update", **more):
        record = {"a": a, "b": b, "slot": "actor", "level": level, "verdict": verdict, "worst_residual": 0.5}
        return record | more

    def load(self):
        return load(self.root)

    def problems(self):
        return [str(p) for p in attempt(self.root)[1]]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)
