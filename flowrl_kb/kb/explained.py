"""Why findings stay open: what `taxonomy/open.yaml` says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from flowrl_kb.errors import Problem, nearest
from flowrl_kb.kb.evaluate import condition
from flowrl_kb.kb.statements import OpenReason
from flowrl_kb.kb.truth import YES

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

PAIR = " ~ "


class Finding(NamedTuple):
    """One open question; `settles` counts what its answer would decide, `reason` says why it stays open."""

    kind: str
    subject: str
    detail: str
    settles: int = 0
    reason: str = ""


def explained(kb: KB, found: Iterable[Finding]) -> list[Finding]:
    """Return the findings with the first reason that covers each."""
    covering = [(one.reason, _covers(kb, one)) for one in kb.reasons.values()]
    return [f._replace(reason=next((text for text, covers in covering if covers(f)), "")) for f in found]


def stale_reasons(kb: KB, found: list[Finding]) -> Iterator[Problem]:
    """Yield a warning for every written reason that covers no present finding."""
    for id, one in kb.reasons.items():
        if not any(map(_covers(kb, one), found)):
            path, line = kb.place("reason", id)
            present = {f.subject for f in found if f.kind == one.finding}
            close = nearest(one.subject, present, 0.9)
            yield Problem(path, line, id, "no such finding any more; remove the reason", close)


def _covers(kb: KB, one: OpenReason) -> Callable[[Finding], bool]:
    sides = (condition(kb, one.between.a), condition(kb, one.between.b)) if one.between else ()

    def ends(finding: Finding) -> bool:
        nodes = [kb.nodes[id] for id in finding.subject.split(PAIR) if id in kb.nodes]
        if len(nodes) != 2:
            return False
        return any(
            all(side.of(node) == YES for side, node in zip(sides, order, strict=True)) for order in (nodes, nodes[::-1])
        )

    def covers(finding: Finding) -> bool:
        return (
            finding.kind == one.finding
            and fnmatchcase(finding.subject, one.subject)
            and fnmatchcase(finding.detail, one.detail)
            and (not sides or ends(finding))
        )

    return covers
