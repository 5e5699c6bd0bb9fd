"""What is open or surprising: pairs and coordinates that nothing settles yet, and agreements worth a rule."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, get_args

from flowrl_kb.kb.contradictions import matters
from flowrl_kb.kb.explained import PAIR, Finding, explained
from flowrl_kb.kb.facts import rules_between
from flowrl_kb.kb.levels import CLASSED
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.reduction import redundant_rules
from flowrl_kb.kb.relations import Knowledge, knowledge
from flowrl_kb.kb.schema import SLOTS
from flowrl_kb.kb.statements import FindingKind
from flowrl_kb.kb.unsettled import open_pairs

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB
    from flowrl_kb.kb.verdicts import Mutation

KINDS: tuple[str, ...] = get_args(FindingKind)


def findings(kb: KB) -> list[Finding]:
    """Return all findings: by kind, those that settle most first, those with a written reason last."""
    return kb.derived("findings", _find)


def _find(kb: KB) -> list[Finding]:
    found = dict.fromkeys(
        (*_measured(kb), *_triangles(knowledge(kb)), *_witnesses(kb), *_open(kb), *_coordinates(kb), *_rules(kb))
    )
    return sorted(explained(kb, found), key=lambda f: (KINDS.index(f.kind), bool(f.reason), -f.settles))


def first(found: list[Finding], most: int = 10) -> tuple[list[Finding], dict[str, int]]:
    """Return the first findings of each kind, and how many more there are of the kinds that were cut."""
    counts: dict[str, int] = {}
    kept = []
    for finding in found:
        counts[finding.kind] = counts.get(finding.kind, 0) + 1
        if counts[finding.kind] <= most:
            kept.append(finding)
    return kept, {kind: count - most for kind, count in counts.items() if count > most}


def _measured(kb: KB) -> Iterator[Finding]:
    known = knowledge(kb)
    for fact in known.facts:
        if fact.kind not in ("certified", "refuted", "undecided"):
            continue
        a, b = kb.nodes[fact.a], kb.nodes[fact.b]
        axes = kb.axes_of(fact.slot)
        apart = [axis for axis in axes if a[axis] != b[axis]]
        at = f"{fact.slot} at {fact.level}" + (f" ({fact.limit})" if fact.limit else "")
        where = f", {fact.where}" if fact.where else ""
        pair = _pair(fact.a, fact.b)
        if fact.kind == "undecided":
            yield Finding("undecided", pair, f"certificate undecided: {at}{where}")
        elif fact.kind == "certified":
            if apart and fact.b not in known.proofs(fact.a, fact.level, fact.slot):
                detail = f"equal without a rule: {at}; coordinates differ on {', '.join(apart)}"
                yield Finding("discovered equivalence", pair, detail)
            against = known.between(fact.a, fact.b, fact.slot)
            for other in (o for o in against if o.kind == "refuted" and known.excludes(o, fact.level)):
                if fact.level != "limit" or other.limit == fact.limit:
                    detail = f"{at}: equal, but different at {other.level} ({other.source})"
                    yield Finding("measured both ways", pair, detail)
        elif not apart and axes and not a.unknown(axes) and fact.slot != "acting":
            # Executed actions also depend on the generator, whose coordinates are not those of the acting slot.
            explained = _conditions(kb, a, b, fact.slot)
            if explained:
                yield Finding("conditional axis matters", pair, f"different: {at}; {' or '.join(explained)}{where}")
            else:
                yield Finding("cell too coarse", pair, f"same cell, different: {at}{where}")
    for fact, missing in matters(kb):
        by = f", witness {fact.source}" if fact.is_witness else ""
        detail = f"{fact.slot} at {fact.level}{by}: {'; '.join(missing)}"
        yield Finding("assumption matters", _pair(fact.a, fact.b), detail)


def _conditions(kb: KB, a: Node, b: Node, slot: str) -> list[str]:
    """The conditional axes that could explain why two updates of one cell differ, with both values."""
    return [f"{x.id} {a[x.id]} / {b[x.id]}" for x in kb.conditional_of(slot) if a[x.id] != b[x.id]]


def _triangles(known: Knowledge) -> Iterator[Finding]:
    """Yield A = B, B = C with A different from C, where a measured equality is one of the two.

    Like a contradiction, it needs a comparison that kept the assumptions of the equalities; else they only matter.
    """
    for slot in SLOTS:
        if not known.of("certified", slot):
            continue
        for level in CLASSED:
            measured, proved = known.links("certified", level, slot), known.links("proved", level, slot)
            for middle in measured:
                ends = {f.other(middle): f for f in (*proved.get(middle, ()), *measured[middle])}
                for a, c in combinations(sorted(ends), 2):
                    if "certified" not in (ends[a].kind, ends[c].kind):
                        continue
                    needed = {*ends[a].assumptions, *ends[c].assumptions}
                    if any(
                        f.kind == "refuted" and f.level == level and needed <= set(f.assumptions)
                        for f in known.between(a, c, slot)
                    ):
                        detail = f"{slot} at {level}: {a} = {middle} = {c}, but {a} differs from {c}"
                        yield Finding("triangle", _pair(a, c), detail)


def _witnesses(kb: KB) -> Iterator[Finding]:
    results = {result.id: result for result in kb.verdicts.witnesses}
    for witness in kb.witnesses.values():
        if witness.id not in results:
            yield Finding("witness not measured", witness.id, "no figure in taxonomy/verdicts.json; it refutes nothing")
        elif not results[witness.id].passed:
            r = results[witness.id]
            detail = f"figure {r.figure}, at least {witness.at_least} expected; control {r.control_figure}"
            yield Finding("witness failed", witness.id, detail)


def _open(kb: KB) -> Iterator[Finding]:
    for one in open_pairs(kb):
        settles = f"would settle {one.settles} more" if one.settles else "settles nothing else"
        yield Finding("open pair", _pair(one.a, one.b), f"{one.slot} at {one.level}; {settles}", one.settles)


def _coordinates(kb: KB) -> Iterator[Finding]:
    for m in kb.verdicts.mutations:
        if m.verdict == "not-separated" and not _same_by_rule(kb, m):
            yield Finding("not-separated", f"{m.method}.{m.axis}", f"{m.slot}: {m.from_} / {m.to}")
        elif m.verdict == "undecided":
            yield Finding("undecided", f"{m.method}.{m.axis}", f"{m.slot}: {m.from_} / {m.to}")
    for c in kb.verdicts.certificates:
        if c.verdict == "undecided":
            yield Finding("undecided", f"{c.method}:{c.slot}", "published against composed")
    certified = {c.method for c in kb.verdicts.certificates}
    for card in (card for card in kb.cards.values() if not card.scope):
        if certified and card.id not in certified:
            yield Finding("not certified", card.id, "no comparison of published and composed updates is stored")
        unknown = kb.nodes[card.id].unknown(axis.id for axis in kb.mechanism)
        if unknown:
            yield Finding("unknown coordinates", card.id, ", ".join(unknown))


def _same_by_rule(kb: KB, m: Mutation) -> bool:
    """Whether a rule says that the changed coordinate does not change the update of the slot."""
    own = kb.nodes[m.method].coordinates
    rules = rules_between(kb, m.slot, own, {**own, m.axis: m.to})
    return any(rule.level in ("same-loss", "same-update") for rule in rules)


def _rules(kb: KB) -> Iterator[Finding]:
    for rule, others in redundant_rules(kb):
        by = f"follows from {', '.join(others)}" if others else "follows from other rules"
        yield Finding("redundant rule", rule, f"every pair that it proves {by}")


def _pair(a: str, b: str) -> str:
    return f"{a}{PAIR}{b}"
