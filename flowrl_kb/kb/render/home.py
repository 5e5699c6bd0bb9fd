"""What hand-written pages insert: counts and example questions, with the answers of this knowledge base."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flowrl_kb.kb import code
from flowrl_kb.kb.evidence import status
from flowrl_kb.kb.levels import LEVELS
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.render.html import esc, link, listing, method, table

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

EXAMPLES = (
    ("Which methods differentiate Q through their sampler?", "route=pathwise"),
    (
        "Which methods improve on fixed data without touching the generator?",
        "reference=fixed & operator=identity",
    ),
    ("Which methods fit the same field as SDAC?", "equiv(sdac, at=same-target-field)"),
    ("Which updates are measured different from SDAC?", "differs(sdac)"),
)


def counts(kb: KB) -> str:
    """Return what the knowledge base holds, as a row of figures; nothing in it is typed by hand."""
    known = Counter(status(kb, card, axis) for card in kb.cards for axis in kb.axes)
    certified = {c.method for c in kb.verdicts.certificates if c.slot == "actor" and c.verdict == "equal"}
    figures = [
        (len(kb.cards), "methods", "methods/index.html"),
        (sum(bool(code.published(card)) for card in kb.cards), "executable", "methods/index.html"),
        (len(certified & kb.cards.keys()), "certified", "relations.html#certificates"),
        (len(kb.axes), "axes", "axes/index.html"),
        (sum(known.values()) - known["unknown"], "known coordinates", "completeness.html#coordinates"),
        (known["tested"], "of them tested", "completeness.html#coordinates"),
        (known["unknown"], "unknown", "completeness.html#coordinates"),
        (len(kb.rules), "rules", "rules/index.html"),
    ]
    cells = "".join(f'<li><a href="@/{to}"><b>{n}</b> {what}</a></li>' for n, what, to in figures)
    return f'<ul class="kb-counts">{cells}</ul>\n'


def questions(kb: KB) -> str:
    """Return example queries with their answers, computed now."""
    rows = []
    for question, text in EXAMPLES:
        try:
            found = kb.query(text)
        except Exception as error:  # a method named by an example may be absent from a user's own data
            rows.append((esc(question), f"<code>{esc(text)}</code>", esc(error)))
            continue
        answer = ", ".join(map(method, found.satisfies)) or esc(found.empty)
        if found.may:
            answer += f" <small>({len(found.may)} undecided)</small>"
        rows.append((esc(question), f"<code>{esc(text)}</code>", answer))
    return table("Questions and today's answers", ("Question", "Query", "Answer"), rows)


def classes(kb: KB) -> str:
    """Return how many classes of more than one member each level has."""
    known = knowledge(kb)
    items = []
    for level in LEVELS:
        if level != "limit":
            joined = [c for c in known.classes(level) if len(c) > 1]
            items.append(f"{link('relations.html#level-' + level, level)}: {len(joined)} classes with several members")
    return listing(items)


BLOCKS = {"counts": counts, "questions": questions, "classes": classes}
