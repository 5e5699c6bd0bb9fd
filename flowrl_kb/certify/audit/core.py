"""The audit itself: the user's fingerprint against the atlas, level by level."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from flowrl_kb.certify import subject
from flowrl_kb.certify.audit import atlas
from flowrl_kb.certify.audit.adapt import CONVENTIONS, Bound, Convention, bind, guarded, inspect_loss
from flowrl_kb.certify.audit.atlas import Compact
from flowrl_kb.certify.audit.catalogue import Entry, cells, methods, point
from flowrl_kb.certify.audit.match import SCALE, Match, best
from flowrl_kb.certify.audit.names import KINDS, OF_PREVIOUS
from flowrl_kb.certify.audit.report import Report, assemble
from flowrl_kb.certify.features import shape
from flowrl_kb.certify.fingerprint import Fingerprint, gradient
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.certify.program import Program
from flowrl_kb.certify.same_loss import Both, Side
from flowrl_kb.errors import UserError, unknown
from flowrl_kb.kb.load import KB, load
from flowrl_kb.parts.types import Method

LOOKS = (256, 1024)
PROMISING = 0.15
"""An undecided comparison with a residual below this is worth more replicates."""
FINALISTS, LAST_LOOKS = 2, (2048, 4096)
"""How many undecided candidates are computed anew, and with how many replicates."""
VALUES = ("models", "batch", "advantage", "returns", "reward", "value_fn")
"""Parameters through which values of actions reach a loss, beside its critics."""
PATHS, DATA = ("vp", "ve", "linear"), ("behaviour", "previous")


class Found(NamedTuple):
    """One candidate at one level, and how it compares: on average, and draw by draw where the two are one loss."""

    entry: Entry
    level: str
    match: Match
    same_loss: dict[str, Any] | None = None


class Held(NamedTuple):
    """Candidates with their compact updates, those without one, and those whose parts do not fit together."""

    compared: list[tuple[Entry, Compact]]
    missing: list[Entry]
    unfit: int


def audit(
    fn: Callable,
    policy: str = "field",
    path: str = "vp",
    data: str | None = None,
    sampler: str = "ancestral",
    kb: KB | None = None,
    say: Callable[[str], None] = lambda line: None,
    looks: Iterable[int] = LOOKS,
    **hyper: Any,
) -> Report:
    """Hold a loss against every executable method and cell.

    Arguments: `fn` a loss of our interface or written against plain callables (see `names`); `policy` field, map,
    gaussian or deterministic; `path` vp, ve or linear; `data` which law drew the batch's actions, by default the
    previous policy where the loss reads advantages or stored chains; `hyper` values in place of the laboratory's.
    Errors: UserError, one line, for a function that cannot be audited.
    """
    for what, value, options in (("policy", policy, KINDS), ("path", path, PATHS), ("data", data or DATA[0], DATA)):
        if value not in options:
            raise unknown(what, value, options)
    kb = kb or load()
    bound = bind(kb, fn, policy, hyper)
    setting = Setting(policy, path if policy == "field" else "none", sampler)
    read = inspect_loss(bound, setting)
    setting = setting._replace(data=data or ("previous" if read & {*OF_PREVIOUS} else "behaviour"))
    candidates = [*methods(kb, policy), *cells(kb, policy)]
    stored, rows = atlas.read(atlas.path(kb)), shape(policy, 2)[1]
    for way in ways(bound, setting):
        say(f"computing the update of {bound.name}" + (f", {way.words}" if way.words else ""))
        drifted = user_fingerprint(bound, way, setting, "drifted")
        held = hold(candidates, stored, "drifted")
        found = search(bound, drifted, held, rows, looks, "same-update")
        if any(one.match.verdict == "equal" for one in found):
            break
    else:
        way = Convention()
        if len(ways(bound, setting)) > 1:
            drifted = user_fingerprint(bound, way, setting, "drifted")
            found = search(bound, drifted, held, rows, looks, "same-update")
    at_old, held_old = [], None
    if not any(one.match.verdict == "equal" for one in found):
        say("no match yet; the same at the previous policy")
        there = Fingerprint(drifted.program, subject.SCENES["at-old"](setting.dim), f"{bound.name} at-old")
        held_old = hold(candidates, stored, "at-old")
        at_old = search(bound, there, held_old, rows, looks, "same-update-at-old")
    if not any(one.match.verdict == "equal" for one in (*found, *at_old)) and reads_values(bound):
        say("no match yet; with the sign of Q turned round")
        turned = way._replace(flip_q=True)
        wrong = search(bound, user_fingerprint(bound, turned, setting, "drifted"), held, rows, looks, "same-update")
        if any(one.match.verdict == "equal" for one in wrong):
            way, found, at_old = turned, wrong, []
    found = draw_by_draw(bound, way, setting, found, say)
    return assemble(kb, bound, setting, way, held, found, held_old, at_old, point)


def reads_values(bound: Bound) -> bool:
    """Whether the loss receives anything whose sign could be wrong."""
    return any(name in VALUES or name.endswith(("q_fn", "q_heads_fn")) for name in bound.reads.values())


def ways(bound: Bound, setting: Setting) -> tuple[Convention, ...]:
    """The conventions that could matter: of velocities, and of levels on the straight path."""
    velocity = any(name.endswith("v_fn") for name in bound.reads.values())
    if velocity:
        return CONVENTIONS
    return (
        CONVENTIONS[:2] if setting.path == "linear" and {"t", "alpha_t"} & {*bound.reads.values()} else CONVENTIONS[:1]
    )


def user_fingerprint(bound: Bound, way: Convention, setting: Setting, scenes: str) -> Fingerprint:
    """The fingerprint of the user's loss; never remembered, because nothing says what else its file imports."""
    described = repr((os.path.basename(bound.file), bound.name, sorted(bound.hyper), way, setting, scenes))
    loss, scenarios = bound.loss(way), subject.SCENES[scenes](setting.dim)
    one = lambda scene, key: gradient(loss, "actor", setting.policy, setting, scene, key)  # noqa: E731
    return Fingerprint(Program(lambda: one, scenarios), scenarios, described)


def hold(candidates: list[Entry], stored: Mapping[str, Compact | None], scenes: str) -> Held:
    """Look every candidate up in the atlas, then in this machine's memory."""
    compared, missing, unfit, seen = [], [], 0, set()
    for entry in candidates:
        print_ = entry.fingerprint(scenes)
        name = atlas.identity(print_)
        if name in seen:
            continue
        seen.add(name)
        if name in stored and stored[name] is None:
            unfit += 1
        elif (update := stored.get(name) or atlas.remembered(entry, scenes)) is not None:
            compared.append((entry, update))
        else:
            missing.append(entry)
    return Held(compared, missing, unfit)


def search(bound: Bound, user: Fingerprint, held: Held, rows: int, looks: Iterable[int], level: str) -> list[Found]:
    """Compare with every candidate, with more replicates while something promising is undecided; best first."""
    found: list[Found] = []
    for n in looks:
        p = guarded(bound, lambda n=n: user.take(n))
        if not np.any(p.mean):
            raise UserError(
                f"{bound.place}, {bound.name}: the loss does not depend on the policy (its gradient is zero)"
            )
        found = [Found(entry, level, best(p, update, rows)) for entry, update in held.compared]
        if not any(promising(one.match) for one in found):
            break
    found.sort(key=order)
    if any(one.match.verdict == "equal" for one in found) or max(looks) < LOOKS[-1]:
        return sorted(found, key=order)
    finalists = sorted((one for one in found if promising(one.match)), key=order)[:FINALISTS]
    for n in LAST_LOOKS if finalists else ():
        p = guarded(bound, lambda n=n: user.take(n))
        for one in finalists:
            update = atlas.compact(one.entry.fingerprint(scenes_of(level)).take(n))
            found = [f._replace(match=best(p, update, rows)) if f.entry is one.entry else f for f in found]
        if not any(promising(f.match) for f in found if any(f.entry is one.entry for one in finalists)):
            break
    return sorted(found, key=order)


def draw_by_draw(
    bound: Bound, way: Convention, setting: Setting, found: list[Found], say: Callable[[str], None]
) -> list[Found]:
    """The best of the equal updates as the same loss, where random numbers can be matched."""
    user = Side(Method(bound.name, {"actor": setting.policy}, {"actor": bound.loss(way)}, no_action), setting)
    equal = [one for one in found if one.match.verdict == "equal" and one.match.transformation == SCALE][:FINALISTS]
    if equal:
        say("it matches on average; now draw by draw")
    for one in equal:
        other = Side(one.entry.method(), subject.setting(one.entry.cell))
        row = Both(user, other, "actor", subject.SCENES["drifted"](setting.dim)).row()
        if row and row["level"] == "same-loss":
            found = [f._replace(same_loss=row) if f is one else f for f in found]
    return found


def no_action(*_: Any) -> Any:
    """A loss alone has no acting rule."""
    raise NotImplementedError


def scenes_of(level: str) -> str:
    return "at-old" if level.endswith("at-old") else "drifted"


def promising(match: Match) -> bool:
    return match.verdict == "undecided" and match.residual < PROMISING


def order(one: Found) -> tuple:
    """Equal before undecided before different; plain transformations first, methods before cells, then residuals."""
    rank = ("equal", "undecided", "different").index(one.match.verdict)
    plain = one.match.transformation != "a positive scale"
    return rank, plain if rank == 0 else 0, one.entry.node is None if rank == 0 else 0, one.match.residual
