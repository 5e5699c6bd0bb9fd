"""What certificates found. The file is written by `flowrl-kb certify --write` and never by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flowrl_kb.errors import Problem
from flowrl_kb.kb.schema import About, Card, Level, Slot
from flowrl_kb.kb.statements import Limit

SCHEMA = 1


class Record(BaseModel):
    """A generated record; further measured fields are kept and exported."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    def __reduce__(self) -> tuple:
        """Fields only: there are thousands of records, and which of their fields were set is never asked."""
        return _restored, (type(self), self.__dict__, self.__pydantic_extra__)


def _restored(of: type[Record], fields: dict[str, Any], extra: dict[str, Any] | None) -> Record:
    record = of.__new__(of)
    state = {
        "__dict__": fields,
        "__pydantic_extra__": extra,
        "__pydantic_fields_set__": set(),
        "__pydantic_private__": None,
    }
    for name, value in state.items():
        object.__setattr__(record, name, value)
    return record


class Certificate(Record):
    """Published losses against the composed cell of one method, in one slot."""

    method: str
    slot: str = "actor"  # a trained object, or `acting`
    level: Level
    verdict: Literal["equal", "different", "undecided"]
    worst_residual: float | None = None
    margin: float | None = None
    control: dict[str, Any] | None = None
    code_hash: str | None = None
    card_hash: str | None = None


class Mutation(Record):
    """The same comparison with one coordinate changed: a coordinate that bears load makes it fail."""

    method: str
    slot: str = "actor"
    axis: str
    from_: str
    to: str
    verdict: Literal["different", "not-separated", "undecided"]
    worst_residual: float | None = None

    def __init__(self, **data: Any):
        super().__init__(**({"from_": data.pop("from")} if "from" in data else {}), **data)


class Stationarity(Record):
    """Whether a published loss is at rest at the object (`field`) that the card predicts for its slot."""

    method: str
    slot: str = "actor"
    field: str
    verdict: Literal["stationary", "moving", "undecided"]
    worst_residual: float | None = None
    margin: float | None = None
    candidates: dict[str, float] = {}
    control: dict[str, Any] | None = None


class MeasuredLimit(Limit):
    """The limit that was extrapolated, with the residual at each finite value of its parameter."""

    points: dict[str, float] = {}


class Pair(Record):
    """Two methods or variants compared at one level; `assumptions` are those that the comparison kept."""

    a: str
    b: str
    slot: Slot = "actor"
    level: Level
    verdict: Literal["equal", "different", "undecided"]
    worst_residual: float | None = None
    upper_bound: float | None = None
    margin: float | None = None
    scale: float | None = None
    variance_ratio: float | None = None
    replicates: int | None = None
    where: str | None = None
    assumptions: tuple[str, ...] = ()
    about: About | None = None
    limit: MeasuredLimit | None = None


class Identity(Record):
    """The numerical guard of a rule, with its negative control."""

    id: str
    error: float | None = None
    control_error: float | None = None
    passed: bool


class WitnessResult(Record):
    """The figure of a witness and of its control; only a witness that passed refutes anything."""

    id: str
    figure: float | None = None
    control_figure: float | None = None
    passed: bool


class LawResult(Record):
    """The law that a trained method reached, compared with the predicted one."""

    method: str
    task: str
    kind: str
    metric: str
    distance: float | None = None
    reference_distance: float | None = None
    note: str | None = None


class Verdicts(Record):
    schema_: int = SCHEMA
    made: dict[str, Any] = {}
    certificates: tuple[Certificate, ...] = ()
    mutations: tuple[Mutation, ...] = ()
    stationarity: tuple[Stationarity, ...] = ()
    pairs: tuple[Pair, ...] = ()
    identities: tuple[Identity, ...] = ()
    witnesses: tuple[WitnessResult, ...] = ()
    laws: tuple[LawResult, ...] = ()


def card_hash(card: Card) -> str:
    """Return 16 hex digits that change with the coordinates, hyper-parameters or variants of a card."""
    chosen = card.model_dump(mode="json", include={"id", "hyperparameters", "variants"})
    chosen["coordinates"] = {axis: c.value for axis, c in card.coordinates.items()}
    for name, setting in chosen["hyperparameters"].items():
        chosen["hyperparameters"][name] = setting["value"]
    for variant in chosen["variants"]:
        del variant["summary"]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


def read(path: Path, shown: str) -> tuple[Verdicts, list[Problem]]:
    """Read the verdict file; a missing file means that nothing has been certified yet."""
    if not path.exists():
        return Verdicts(), []
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("schema") != SCHEMA:
            return Verdicts(), [Problem(shown, 1, "schema", f"found {data.get('schema')!r}, expected {SCHEMA}")]
        return Verdicts(**{("schema_" if k == "schema" else k): v for k, v in data.items()}), []
    except json.JSONDecodeError as error:
        return Verdicts(), [Problem(shown, error.lineno, "", f"not valid JSON: {error.msg}")]
    except ValidationError as error:
        return Verdicts(), [Problem(shown, 0, ".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]


def stale(verdicts: Verdicts, cards: dict[str, Card]) -> list[str]:
    """Return the methods whose card has changed since their certificate was made."""
    now = {id: card_hash(card) for id, card in cards.items()}
    card = lambda c: c.method.partition(":")[0]  # a variant stands on its method's card  # noqa: E731
    return sorted({c.method for c in verdicts.certificates if c.card_hash and now.get(card(c)) != c.card_hash})
