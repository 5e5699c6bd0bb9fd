"""What a data file may contain: one frozen model for each kind of object, unknown keys forbidden."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

UNKNOWN = "unknown"
NOT_APPLICABLE = "not-applicable"
SLOTS = ("actor", "acting", "critic", "step_critic", "value", "behaviour", "energy", "log_temperature")

AxisSlot = Literal["actor", "acting", "critic", "energy"]
"""The part of a method that an axis describes."""
Slot = Literal["actor", "acting", "critic", "step_critic", "value", "behaviour", "energy", "log_temperature"]
"""What a relation compares: the update of a trained object, or the acting rule."""
About = Literal["published", "as-coded", "stripped-core"]
Role = Literal["method", "baseline", "boundary"]
"""A boundary card is placed on the map, and what is new in it lies outside the axes: it has no losses of its own."""
Level = Literal["same-loss", "same-update", "same-update-at-old", "same-target-field", "limit", "same-executed-law"]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Text = Annotated[str, Field(min_length=1)]
Number = int | float
Setting = str | bool | int | float | tuple[Any, ...] | None


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Value(Model):
    """One answer to the question of an axis."""

    id: Id
    definition: Text
    formula: str
    test: Text
    synonyms: tuple[str, ...] = ()
    not_to_be_confused_with: dict[str, str] = {}


class Axis(Model):
    """A question about an update; `mechanism` axes always matter, `conditional` ones sometimes.

    `absent` is the value of a card that does not name the axis, for objects that few methods train; without it such a
    card is undecided.
    """

    id: Id
    name: Text
    kind: Literal["mechanism", "conditional"]
    slot: AxisSlot = "actor"
    order: int = 99
    question: Text
    cosmetic_when: str | None = None
    mechanism_when: str | None = None
    absent: Id | None = None
    values: tuple[Value, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _conditional_axes_say_when(self) -> Axis:
        if self.kind == "conditional" and not (self.cosmetic_when and self.mechanism_when):
            raise ValueError("a conditional axis needs cosmetic_when and mechanism_when")
        return self

    def describes(self, slot: str) -> bool:
        """Whether the axis says something about a slot; a state value belongs to the critic."""
        return self.slot == {"value": "critic"}.get(slot, slot)

    def value(self, id: str) -> Value | None:
        return next((v for v in self.values if v.id == id), None)


class Constraint(Model):
    """A combination of values that cannot exist: wherever `if_` holds, `then` must not fail."""

    id: Id
    if_: Text = Field(alias="if")
    then: Text
    because: Text


class Term(Model):
    """A canonical hyper-parameter name, and what papers call it."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    symbol: str
    definition: Text
    synonyms: dict[str, str] = {}


class Choice(Model):
    value: Text
    if_: Text = Field(alias="if")


class Remark(Model):
    """What is to be said of methods on a map: why they stand elsewhere, or what one cell hides."""

    methods: tuple[Id, ...]
    remark: Text
    rests_on: tuple[Id, ...] = ()


class Projection(Model):
    """Somebody else's taxonomy as functions of our axes, with the placements that were published.

    A row of `published` holds `method`, its value of some functions, and `where` in the source it stands.
    """

    id: Id
    name: Text
    source: Text
    functions: dict[str, tuple[Choice, ...]]
    published: tuple[dict[str, str], ...] = ()
    remarks: tuple[Remark, ...] = ()


class Coordinate(Model):
    """The value of one axis, how it was found, and where."""

    value: Text
    status: Literal["asserted", "derived"] = "asserted"
    evidence: str | None = None
    note: str | None = None


class Hyperparameter(Model):
    value: Setting
    source: Text
    note: str | None = None


class Code(Model):
    repo: Text
    path: str | None = None
    commit: str | None = None
    role: Literal["official", "peer", "community"]
    read: bool
    note: str | None = None


class Variant(Model):
    """Another estimator under the same name: a stripped core, or what some code does."""

    id: Id
    kind: Literal["stripped-core", "official-code", "peer-code", "paper"]
    summary: Text
    coordinates: dict[str, str] = {}
    hyperparameters: dict[str, Setting] = {}


class DeclaredRelation(Model):
    """A relation that an author claims; it is shown as a claim and never used as a proof."""

    to: Text
    kind: Literal["same-as", "special-case-of", "limit-of", "differs-in", "reparameterization-of"]
    level: Level | None = None
    condition: str = ""
    evidence: Text


class Law(Model):
    """Which law the method reaches, and how it is predicted."""

    kind: Literal["density", "simulation", "bound", "none"]
    predictor: str | None = None
    statement: Text
    reason: str | None = None

    @model_validator(mode="after")
    def _none_needs_a_reason(self) -> Law:
        if self.kind == "none" and not self.reason:
            raise ValueError("a law of kind none needs a reason")
        return self


class Erratum(Model):
    where: Text
    what: Text


class Card(Model):
    """One method: paper, code, coordinates with evidence, published settings, and what is doubtful."""

    id: Id
    name: Text
    title: Text
    authors: Text
    date: Annotated[str, Field(pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$")]
    venue: str | None = None
    arxiv: Annotated[str, Field(pattern=r"^[0-9]{4}\.[0-9]{4,5}(v[0-9]+)?$")] | None = None
    aliases: tuple[str, ...] = ()
    role: Role = "method"
    scope: str | None = None
    summary: Text
    code: tuple[Code, ...] = ()
    coordinates: dict[str, Coordinate]
    losses: dict[str, str] = {}
    hyperparameters: dict[str, Hyperparameter] = {}
    training: dict[str, Hyperparameter] = {}
    data: tuple[str, ...] = ()
    stop_gradients: tuple[str, ...] = ()
    notation: dict[str, str] = {}
    variants: tuple[Variant, ...] = ()
    relations: tuple[DeclaredRelation, ...] = ()
    law: Law | None = None
    errata: tuple[Erratum, ...] = ()
    unverified: tuple[str, ...] = ()
    status: Literal["active", "deprecated"] = "active"
    revoked_by: str | None = None

    @model_validator(mode="after")
    def _the_boundary_needs_a_reason(self) -> Card:
        if (self.role == "boundary") != bool(self.scope):
            raise ValueError("role 'boundary' and the reason under `scope` need each other")
        return self

    @property
    def year(self) -> int:
        return int(self.date[:4])
