"""What an audit says: which levels are reached, what matches up to what, what was not compared, a card to fill in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowrl_kb.certify.audit.card import SEEN, draft
from flowrl_kb.kb import terminal
from flowrl_kb.kb.nodes import Node, differences, distance

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

SHOWN = 5
WEIGHTED = "same-update up to a weight of the noise level"
WRONG = "the opposite sign of an update, or of Q in it"
NOTES = (
    "The audit compares the expected actor update on two-dimensional bandits with exact models. It does not see the "
    "critic, acting, optimizer, averaging or finite capacity.",
    "Each cell is compared in one setting of its conditional axes. Cells with values that have no executable part "
    "(signed regression, inference guidance, latent actions, step values, trained noise of "
    "steps, ...) are not compared.",
)


@dataclass
class Report:
    """The result of an audit, as plain data; `str(report)` is what the terminal shows."""

    subject: str
    policy: str
    path: str
    data: str
    hyper: dict[str, Any]
    convention: str
    levels: dict[str, list[str]]
    matches: list[dict[str, Any]]
    nearest: dict[str, Any] | None
    sentence: str
    compared: dict[str, int]
    not_compared: list[str]
    card: str
    notes: list[str] = field(default_factory=lambda: list(NOTES))

    def __str__(self) -> str:
        return "\n".join(lines(self))

    def json(self) -> str:
        return json.dumps(terminal.plain(self), indent=1, ensure_ascii=False)


def assemble(kb: KB, bound, setting, way, held, found, held_old, at_old, point) -> Report:
    """Collect the comparisons of both levels; arguments as in `core.audit`."""
    rows = [describe(kb, one, setting, bound) for one in found] + [describe(kb, one, setting, bound) for one in at_old]
    equal = [row for row in rows if row["verdict"] == "equal"]
    levels = {level: [] for level in ("same-loss", "same-update", WEIGHTED, "same-update-at-old", WRONG)}
    for row in equal:
        levels[WRONG if row["opposite"] or way.flip_q else row["level"]].append(row["name"])
        if row["same_loss"] and not way.flip_q:
            levels["same-loss"].append(row["name"])
    matched = [one.entry for one in (*found, *at_old) if one.match.verdict == "equal"]
    shown = equal[:SHOWN] or [row for row in rows if row["level"] != "same-update-at-old"][:SHOWN]
    methods, cells = counts(kb, held.compared, point)
    missing = sorted({entry.name or words(kb, entry.cell) for entry in held.missing})
    return Report(
        subject=f"{bound.place}:{bound.name}",
        policy=setting.policy,
        path=setting.path,
        data=setting.data,
        hyper=dict(bound.hyper),
        convention=way.words,
        levels=levels,
        matches=shown,
        nearest=nearest(kb, matched[0] if matched else None, rows),
        sentence=sentence(methods, cells, missing, held, held_old, bool(equal)),
        compared={"methods": methods, "cells": cells, "not compared": len(missing), "parts do not fit": held.unfit},
        not_compared=missing,
        card=draft(kb, setting.policy, setting.path, [dict(entry.cell) for entry in matched]),
    )


def counts(kb: KB, compared, point) -> tuple[int, int]:
    """How many methods and cores, and how many distinct cells (theirs left out), were compared."""
    own = {point(kb, entry) for entry, _ in compared if entry.node}
    methods = sum(entry.node is not None for entry, _ in compared)
    return methods, len({point(kb, entry) for entry, _ in compared if not entry.node} - own)


def words(kb: KB, cell) -> str:
    """The actor coordinates of a cell, in the notation of `flowrl-kb run --cell`."""
    return ",".join(f"{axis.id}={cell[axis.id]}" for axis in kb.actor_axes)


def describe(kb: KB, one, setting, bound) -> dict[str, Any]:
    """One comparison as plain data."""
    from flowrl_kb.certify.features import block_name

    match, entry = one.match, one.entry
    opposite = match.transformation.startswith("the opposite")
    weighted = match.transformation.endswith("noise level")
    level = WEIGHTED if weighted and one.level == "same-update" else one.level
    other = {
        name: [value, entry.hyper[name]]
        for name, value in bound.hyper.items()
        if name in entry.hyper and entry.hyper[name] != value
    }
    return {
        "name": entry.name or words(kb, entry.cell),
        "kind": "method" if entry.node else "cell",
        "cell": {axis.id: entry.cell[axis.id] for axis in kb.actor_axes},
        "level": level,
        "verdict": match.verdict,
        "transformation": match.transformation,
        "opposite": opposite,
        "scale": [round(k, 4) for k in match.scale],
        "matched": round(match.matched, 3),
        "different": round(match.different, 3),
        "residual": round(match.residual, 4),
        "upper_bound": round(match.bound, 4),
        "margin": match.margin,
        "where": f"scenario {match.worst[0] + 1}, {block_name(setting.policy, match.worst[1])}",
        "variance_ratio": round(match.variance_ratio, 3),
        "replicates": match.replicates,
        "other_hyperparameters": other,
        "same_loss": one.same_loss,
    }


def nearest(kb: KB, matched, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The nearest other method: by the coordinates of what matched, otherwise by the residual."""
    named = {row["name"]: row for row in reversed(rows) if row["kind"] == "method"}
    if matched is None:
        row = min(named.values(), key=lambda row: (row["verdict"] == "different", row["residual"]), default=None)
        return row and {"method": row["name"], "residual": row["residual"], "verdict": row["verdict"], "differs": {}}
    axes = [axis for axis in kb.axes.values() if axis in kb.actor_axes or axis.id in SEEN]
    equal = {row["name"] for row in rows if row["verdict"] == "equal"}
    others = [kb.nodes[name] for name in named if name not in equal]
    if not others:
        return None
    ghost = Node("", next(iter(kb.cards.values())), None, matched.cell)
    close = min(others, key=lambda node: (distance(ghost, node, axes)[0], node.id))
    differs = {d.axis.id: [d.a, d.b] for d in differences(ghost, close, axes)}
    row = named[close.id]
    return {"method": close.id, "residual": row["residual"], "verdict": row["verdict"], "differs": differs}


def sentence(methods: int, cells: int, missing: list[str], held, held_old, any_match: bool) -> str:
    """The statement of completeness."""
    levels = "same-update (also up to a weight of the noise level, or with the opposite sign of the update or of Q)"
    if held_old is not None:
        levels += f" and same-update-at-old ({len(held_old.compared)} of them there)"
    start = "compared with" if any_match else "no match among"
    return f"{start} {methods} executable methods and {cells} cells at levels {levels}; {len(missing)} not compared"


def lines(report: Report) -> list[str]:
    """The report as text."""
    hyper = ", ".join(f"{k}={v}" for k, v in report.hyper.items()) or "none"
    out = [
        f"{report.subject}: {report.policy} policy, path {report.path}, {report.data} actions; hyper-parameters {hyper}"
    ]
    if report.convention:
        out.append(f"read with {report.convention}")
    out += ["", "levels"]
    out += [f"  {level}: {', '.join(names[:SHOWN]) if names else 'none'}" for level, names in report.levels.items()]
    any_match = any(report.levels.values())
    out += ["", "matches" if any_match else "closest (none of them matches)"]
    for row in report.matches:
        scale = ", ".join(f"{k:g}" for k in row["scale"])
        out.append(
            f"  {row['name']} ({row['kind']}): {row['verdict']} at {row['level']}, "
            f"up to {row['transformation']} ({scale})"
        )
        bound = f" < {row['upper_bound']:.3f}" if row["verdict"] == "equal" else ""
        out.append(
            f"    {row['matched']:.0%} of blocks within {row['margin']:.0%}, {row['different']:.0%} different; largest "
            f"residual {row['residual']:.3f}{bound} ({row['where']}); variance ratio {row['variance_ratio']:.3g}; "
            f"{row['replicates']} replicates"
        )
        if row["same_loss"]:
            apart = row["same_loss"]["worst_residual"]
            out.append(f"    the same loss: with the same random draws the two updates differ by {apart:.0e}")
        if row["kind"] == "cell" and row["verdict"] == "equal":
            out.append("    cell " + ",".join(f"{axis}={value}" for axis, value in row["cell"].items()))
        if row["opposite"] and row["verdict"] == "equal":
            out.append(f"    this is the opposite sign of {row['name']}: most likely a sign error")
        if "sign of Q" in report.convention and row["verdict"] == "equal":
            out.append(f"    your loss is {row['name']} with -Q in the place of Q: most likely a sign error")
        for name, (yours, theirs) in row["other_hyperparameters"].items():
            out.append(f"    {name}: {yours} in yours, {theirs} in the comparison")
    if report.nearest:
        near = report.nearest
        out += ["", f"nearest other method: {near['method']} ({near['verdict']}, residual {near['residual']:.3f})"]
        out += [f"  {axis}: {yours} here, {theirs} there" for axis, (yours, theirs) in near["differs"].items()]
    out += ["", report.sentence]
    if report.not_compared:
        shown = "; ".join(report.not_compared[:3]) + ("; ..." if len(report.not_compared) > 3 else "")
        out.append(f"not compared (no stored update on this machine or in taxonomy/atlas.npz): {shown}")
    if report.compared["parts do not fit"]:
        out.append(f"{report.compared['parts do not fit']} further cells have parts that do not fit together")
    return out + ["", *report.notes]
