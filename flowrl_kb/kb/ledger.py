"""The ledger: what each method brought, in the order of their dates, among the catalogued ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import yaml

from flowrl_kb.kb.levels import CLASSED
from flowrl_kb.kb.nodes import Node, differences
from flowrl_kb.kb.query import steps
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.schema import NOT_APPLICABLE, UNKNOWN
from flowrl_kb.kb.source import LOADER
from flowrl_kb.kb.whole import LAW, same

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


class First(NamedTuple):
    """A value that no earlier card uses; `also` shares it within the precision of the dates."""

    axis: str
    value: str
    also: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()


class Earlier(NamedTuple):
    """An earlier method and the mechanism axes on which the two differ or are undecided."""

    method: str
    year: int
    axes: tuple[str, ...]


class Same(NamedTuple):
    """An earlier method that is the same in a slot, or as a whole, at a level: up to axes, assuming, by a proof."""

    method: str
    year: int
    level: str
    slot: str
    up_to: tuple[str, ...]
    assuming: tuple[str, ...]
    known: str
    proof: str


class Entry(NamedTuple):
    """One method: `kind` is new value, new combination or earlier cell."""

    id: str
    name: str
    date: str
    kind: str
    first: tuple[First, ...]
    nearest: tuple[Earlier, ...]
    cell_of: tuple[str, ...]
    same: tuple[Same, ...]
    unknown: tuple[str, ...]


class Ledger(NamedTuple):
    entries: tuple[Entry, ...]
    completeness: str


def ledger(kb: KB) -> Ledger:
    """Return the ledger of all catalogued methods, oldest first."""
    return kb.derived("ledger", _enter)


def _enter(kb: KB) -> Ledger:
    cards = sorted(kb.cards.values(), key=lambda c: (c.date, c.id))
    return Ledger(tuple(_entry(kb, kb.nodes[card.id]) for card in cards), completeness(kb))


def completeness(kb: KB) -> str:
    """Say among how many methods a method is the first, and what could still change that."""
    surveyed = survey(kb)
    have = len(surveyed & kb.cards.keys())
    extra = len(kb.cards) - have
    among = f"{have} cards of {len(surveyed)} surveyed methods" if surveyed else f"{len(kb.cards)} cards, no survey"
    beside = f" and {extra} cards outside the survey" if surveyed and extra else ""
    unknown = sum(len(kb.nodes[c].unknown(a.id for a in kb.mechanism)) for c in kb.cards)
    return (
        f"among {among}{beside}; {unknown} mechanism coordinates unknown; a method without a card may be earlier"
        " than any named here"
    )


def survey(kb: KB) -> set[str]:
    """Return the ids that the survey lists; lines are not marked, which would take longer than the ledger."""
    path = kb.root / "taxonomy" / "scope.yaml"
    scope = yaml.load(path.read_text(encoding="utf-8"), LOADER) if path.is_file() else None
    return {entry["id"] for entry in scope.get("surveyed", ())} if isinstance(scope, dict) else set()


def before(a: Node, b: Node) -> bool:
    """Whether a is earlier than b, as far as the less precise of the two dates tells."""
    n = min(len(a.card.date), len(b.card.date))
    return a.card.date[:n] < b.card.date[:n]


def _entry(kb: KB, node: Node) -> Entry:
    others = [kb.nodes[card] for card in kb.cards if card != node.id]
    earlier = [other for other in others if before(other, node)]
    together = [other for other in others if not before(other, node) and not before(node, other)]
    first = _first(kb, node, earlier, together)
    axes = [axis.id for axis in kb.actor_axes]
    cell = [o.id for o in earlier if all(o[a] == node[a] != UNKNOWN for a in axes)]
    apart = sorted(
        (Earlier(o.id, o.card.year, tuple(d.axis.id for d in differences(node, o, kb.mechanism))) for o in earlier),
        key=lambda e: (len(e.axes), e.method),
    )
    near = tuple(e for e in apart if len(e.axes) == len(apart[0].axes))
    kind = "new value" if first else "earlier cell" if cell else "new combination"
    equals = tuple(s for o in sorted(earlier, key=lambda o: (o.card.date, o.id)) if (s := _same(kb, node, o)))
    unknown = tuple(node.unknown(axis.id for axis in kb.mechanism))
    return Entry(node.id, node.card.name, node.card.date, kind, first, near, tuple(sorted(cell)), equals, unknown)


def _first(kb: KB, node: Node, earlier: list[Node], together: list[Node]) -> tuple[First, ...]:
    found = []
    for axis in kb.mechanism:
        value = node[axis.id]
        if value in (UNKNOWN, NOT_APPLICABLE) or any(o[axis.id] == value for o in earlier):
            continue
        also = tuple(sorted(o.id for o in together if o[axis.id] == value))
        perhaps = tuple(sorted(o.id for o in earlier if o[axis.id] == UNKNOWN))
        found.append(First(axis.id, value, also, perhaps))
    return tuple(found)


def _same(kb: KB, node: Node, other: Node) -> Same | None:
    """Return the widest agreement with an earlier method: as a whole, else in the actor, at the strongest level."""
    apart = tuple(d.axis.id for d in differences(node, other, kb.mechanism) if d.decided)
    for level in CLASSED:
        if w := same(kb, node, other, level):
            proofs = "; ".join(f"{s.slot}: {steps(s.proof)}" for s in w.slots if s.proof)
            certified = any(s.proof and s.proof.kind == "certified" for s in w.slots)
            kind = "certified" if certified else "proved"
            return Same(other.id, other.card.year, level, "method", apart, w.assumptions, kind, proofs)
    for level in (x for x in CLASSED if x != LAW):
        if proof := knowledge(kb).equal_to(node.id, level).get(other.id):
            axes = tuple(a for a in apart if a in kb.axes_of("actor"))
            return Same(other.id, other.card.year, level, "actor", axes, proof.assumptions, proof.kind, steps(proof))
    return None


def words(entry: Entry) -> list[str]:
    """Return one entry in lines: what is new, what is nearest, what is the same."""
    lines = []
    for f in entry.first:
        also = f" (as {', '.join(f.also)}, of the same date)" if f.also else ""
        perhaps = f" (unless {', '.join(f.perhaps)}, unknown there)" if f.perhaps else ""
        lines.append(f"new value: {f.axis} = {f.value}{also}{perhaps}")
    if entry.kind == "new combination" and entry.nearest:
        near = "; ".join(f"{e.method} ({e.year}) differs in {', '.join(e.axes)}" for e in entry.nearest[:2])
        doubt = f"; unless its unknown {', '.join(entry.unknown)} decide otherwise" if entry.unknown else ""
        lines.append(f"new combination: first in its cell; nearest earlier {near}{doubt}")
    elif entry.kind == "new combination":
        lines.append("new combination: no earlier card")
    for s in entry.same:
        what = "same method" if s.slot == "method" else f"same {s.slot}"
        up_to = f" up to {', '.join(s.up_to)}" if s.up_to else ""
        assuming = f", assuming {'; '.join(s.assuming)}" if s.assuming else ""
        lines.append(f"{what} as {s.method} ({s.year}){up_to}, at {s.level}{assuming}; {s.known}: {s.proof}")
    if entry.kind == "earlier cell" and not entry.same:
        lines.append(f"in the cell of {', '.join(entry.cell_of)}; nothing says how far they agree")
    return lines
