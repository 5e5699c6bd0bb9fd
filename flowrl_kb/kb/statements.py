"""What the files about pairs may contain: rules, witnesses, arrows between levels, reasons for open findings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from flowrl_kb.kb.schema import About, Id, Level, Model, Number, Slot, Text


class Between(Model):
    a: Text
    b: Text


class Limit(Model):
    parameter: Text
    value: str | Number
    order: str | Number | None = None

    def __str__(self) -> str:
        return f"{self.parameter} -> {self.value}" + (f", order {self.order}" if self.order is not None else "")


class Rule(Model):
    """A proved relation: holds for every pair of nodes that satisfies `between` and agrees outside `free`."""

    id: Id
    name: Text
    level: Level
    slot: Slot = "actor"
    about: About = "published"
    between: Between
    free: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    statement: Text
    derivation: Text
    references: tuple[str, ...] = ()
    certificate: str | None = None
    control: str | None = None
    limit: Limit | None = None

    @model_validator(mode="after")
    def _limits_say_which(self) -> Rule:
        if (self.level == "limit") != (self.limit is not None):
            raise ValueError("level limit and the key limit go together")
        return self


class Separation(Model):
    """Pairs that a witness tells apart: one method satisfies `a`, the other `b`."""

    a: Text
    b: Text
    level: Level
    slot: Slot = "actor"


class Witness(Model):
    """A small seeded problem on which certain pairs differ; it refutes once its figure has been measured."""

    id: Id
    name: Text
    statement: Text
    problem: Text
    measure: Text
    separates: tuple[Separation, ...]
    at_least: Number
    certificate: Text
    references: tuple[str, ...] = ()
    control: str | None = None

    @model_validator(mode="after")
    def _separates_something(self) -> Witness:
        if not self.separates:
            raise ValueError("separates is empty, expected at least one pair of conditions")
        return self


class Arrow(Model):
    """Agreement at one level implies agreement at another, in these slots, for pairs that satisfy `if_`."""

    id: Id
    from_: Level = Field(alias="from")
    to: Level
    slots: tuple[Slot, ...] = Field(min_length=1)
    together_with: tuple[Slot, ...] = ()
    if_: str | None = Field(default=None, alias="if")
    assuming: tuple[str, ...] = ()
    because: Text


FindingKind = Literal[
    "measured both ways",
    "triangle",
    "discovered equivalence",
    "cell too coarse",
    "conditional axis matters",
    "assumption matters",
    "witness not measured",
    "witness failed",
    "undecided",
    "not certified",
    "open pair",
    "not-separated",
    "redundant rule",
    "unknown coordinates",
]


class OpenReason(Model):
    """Why findings of `flowrl-kb open` stay open: those whose subject and detail match, `*` for anything.

    `between` asks for a pair of which one node satisfies `a` and the other `b`.
    """

    finding: FindingKind
    subject: Text = "*"
    detail: Text = "*"
    between: Between | None = None
    reason: Text

    @property
    def id(self) -> str:
        pair = f" between {self.between.a} and {self.between.b}" if self.between else ""
        detail = "" if self.detail == "*" else f", {self.detail}"
        return f"{self.finding}: {self.subject}{detail}{pair}"
