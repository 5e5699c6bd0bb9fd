"""Whole methods: two are the same only where every slot agrees, the acting rule included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from flowrl_kb.kb.facts import Proof, weakest
from flowrl_kb.kb.levels import CLASSED, UNGRADED
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.schema import SLOTS, UNKNOWN

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB
    from flowrl_kb.kb.schema import Card

State = Literal["same", "different", "open"]
LAW = "same-executed-law"


class SlotState(NamedTuple):
    """Whether a pair agrees in one slot at one level, and how that is known."""

    slot: str
    state: State
    reason: str
    proof: Proof | None = None


class Whole(NamedTuple):
    """Whether two methods are the same method at one level."""

    level: str
    state: State
    slots: tuple[SlotState, ...]
    assumptions: tuple[str, ...] = ()
    about: str = "published"


def _always(card: Card) -> set[str]:
    """Slots that no card has to name: acting, and the actor where there is one."""
    policy = card.coordinates.get("policy")
    return {"acting"} if policy and policy.value == "flat" else {"acting", "actor"}


def _trained(kb: KB) -> dict[str, frozenset[str]]:
    certified: dict[str, set[str]] = {}
    for c in kb.verdicts.certificates:
        certified.setdefault(c.method, set()).add(c.slot)
    return {
        card.id: frozenset({*_always(card), *(certified.get(card.id, set()) | card.losses.keys()) & set(SLOTS)})
        for card in kb.cards.values()
    }


def trained(kb: KB, node: Node) -> frozenset[str]:
    """Return the slots of a method: acting, and each object that its card or a certificate says it trains."""
    return kb.derived("trained", _trained)[node.card.id]


def slots(kb: KB, a: Node, b: Node) -> list[str]:
    """Return the slots in which two methods can be compared, in the order of the slots."""
    return [slot for slot in SLOTS if slot in trained(kb, a) & trained(kb, b)]


def slot_state(kb: KB, a: Node, b: Node, level: str, slot: str) -> SlotState:
    """Return what is known of one slot; a rule of acting may also differ by its coordinate."""
    known = knowledge(kb)
    only = [node.id for node in (a, b) if slot not in trained(kb, node)]
    if only:
        other = b.id if only[0] == a.id else a.id
        return SlotState(slot, "different", f"only {other} trains {slot}")
    one, other = a["acting"], b["acting"]
    apart = one != other and UNKNOWN not in (one, other)
    if proof := known.equal_to(a.id, level, slot).get(b.id):
        return SlotState(slot, "same", f"{slot} {proof.kind} at {level}", proof)
    if proof := known.refutation(a.id, b.id, level, slot):
        source = proof.refuting.source
        by = f" by {'witness ' if proof.refuting.is_witness else ''}{source}" if slot in UNGRADED else ""
        how = f": {one} / {other}" if slot in UNGRADED and apart else ""
        at = "" if slot in UNGRADED else f" at {proof.refuting.level}"
        return SlotState(slot, "different", f"{slot} differs{at}{how}{by}", proof)
    if slot != "acting":
        return SlotState(slot, "open", f"{slot} not settled")
    if apart:
        return SlotState(slot, "different", f"acting differs: {one} / {other}")
    return SlotState(slot, "open", "acting not compared" + (f" (both {one})" if one == other != UNKNOWN else ""))


def whole(kb: KB, a: Node, b: Node, level: str) -> Whole:
    """Say whether two methods are the same at a level: same only if all slots are, different if one is."""
    if level == LAW:
        return _law(kb, a, b)
    union = [slot for slot in SLOTS if slot in trained(kb, a) | trained(kb, b)]
    states = tuple(slot_state(kb, a, b, level, slot) for slot in union)
    if not (a.card.losses and b.card.losses) and not any(s.state == "different" for s in states):
        states = (*states, SlotState("trained objects", "open", "the cards do not list what is trained"))
    found = {s.state for s in states}
    state: State = "different" if "different" in found else "open" if "open" in found else "same"
    return _made(level, state, states, ())


def same(kb: KB, a: Node, b: Node, level: str) -> Whole | None:
    """Return the statement that two methods are the same, or None; most pairs already part in the actor."""
    known = knowledge(kb)
    enough = (level, *(arrow.from_ for arrow in known.arrows.joint if arrow.to == level))
    if not any(known.home(a.id, one) is known.home(b.id, one) for one in enough):
        return None
    found = whole(kb, a, b, level)
    return found if found.state == "same" else None


def _law(kb: KB, a: Node, b: Node) -> Whole:
    """One law by a rule about laws, or by the joint arrow: the same target and acting, under its assumptions."""
    direct = slot_state(kb, a, b, LAW, "actor")
    if direct.state != "open":
        return _made(LAW, direct.state, (direct,), ())
    for arrow in knowledge(kb).arrows.joint:
        if arrow.to == LAW:
            parts = tuple(slot_state(kb, a, b, arrow.from_, slot) for slot in (*arrow.slots, *arrow.together_with))
            if all(part.state == "same" for part in parts):
                others = [s for s in slots(kb, a, b) if s not in (*arrow.slots, *arrow.together_with)]
                apart = [x for s in others if (x := slot_state(kb, a, b, arrow.from_, s)).state == "different"]
                return _made(LAW, "open" if apart else "same", (*parts, *apart), arrow.assuming)
    return _made(LAW, "open", (SlotState("law", "open", "executed law not compared"),), ())


def _made(level: str, state: State, states: tuple[SlotState, ...], more: tuple[str, ...]) -> Whole:
    proofs = [s.proof for s in states if s.proof and s.state == "same"]
    united = dict.fromkeys((*more, *(a for proof in proofs for a in proof.assumptions)))
    return Whole(level, state, states, tuple(united), weakest(p.about for p in proofs))


def everywhere(kb: KB, a: Node, b: Node) -> list[Whole]:
    """Return the statement about whole methods at each level that has classes, strongest first."""
    return [whole(kb, a, b, level) for level in CLASSED]


def sentence(found: list[Whole]) -> str:
    """Return the statements about whole methods in one line."""
    same = [w for w in found if w.state == "same"]
    updates = [w for w in found if w.level != LAW]
    parts = []
    if same:
        w = same[0]
        parts.append(f"the same at {w.level}" + (f", assuming {', '.join(w.assumptions)}" if w.assumptions else ""))
    different = [w for w in updates if w.state == "different"]
    if different:
        reasons = dict.fromkeys(s.reason for s in different[-1].slots if s.state == "different")
        where = "" if len(different) == len(updates) else " at " + ", ".join(w.level for w in different)
        parts.append(f"different{where} ({'; '.join(reasons)})")
    if any(w.level == LAW and w.state == "different" for w in found):
        parts.append("different executed laws")
    covered = {w.level for w in (*same, *different)}
    waiting = [w for w in updates if w.state == "open" and w.level not in covered]
    if waiting:
        reasons = dict.fromkeys(s.reason for s in waiting[-1].slots if s.state == "open")
        parts.append(f"open at {', '.join(w.level for w in waiting)} ({'; '.join(reasons)})")
    return "; ".join(parts)


def classes(kb: KB, level: str) -> list[set[str]]:
    """Return the classes of whole methods: a node joins a class when it is the same as every member."""
    found: list[set[str]] = []
    for node in kb.nodes.values():
        home = next((c for c in found if all(same(kb, kb.nodes[member], node, level) for member in c)), None)
        if home is None:
            found.append({node.id})
        else:
            home.add(node.id)
    return sorted(found, key=lambda members: (-len(members), min(members)))
