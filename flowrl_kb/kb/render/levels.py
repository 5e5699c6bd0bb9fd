"""Levels of agreement, the arrows between them, and the classes at each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrl_kb.kb.facts import CERTIFICATE, Proof
from flowrl_kb.kb.levels import LEVELS, MEANING
from flowrl_kb.kb.relations import knowledge
from flowrl_kb.kb.render import html
from flowrl_kb.kb.render.html import esc, link
from flowrl_kb.kb.schema import SLOTS
from flowrl_kb.kb.statements import Arrow
from flowrl_kb.kb.whole import LAW, classes, sentence, whole

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def levels(kb: KB) -> str:
    """Return every level with what follows from it and its classes, then the classes of whole methods."""
    return "".join(_level(kb, level) for level in LEVELS) + html.heading(3, "Whole methods", "level-whole") + _whole(kb)


def _level(kb: KB, level: str) -> str:
    text = html.heading(3, level, f"level-{level}") + html.para(f"{esc(MEANING[level].capitalize())}.")
    text += html.listing(_arrow(kb, a) for a in kb.arrows.values() if a.from_ == level)
    if level == "limit":
        return text + html.para("Limits do not compose, so there are no classes at this level.")
    tables = [_classes(kb, level, slot) for slot in SLOTS]
    return text + ("".join(tables) or html.para("No two updates are known to be the same at this level."))


def _arrow(kb: KB, arrow: Arrow) -> str:
    together = f" with the same {', '.join(arrow.together_with)}" if arrow.together_with else ""
    only = f", if both have <code>{esc(arrow.if_)}</code>" if arrow.if_ else ""
    assuming = f", assuming {esc(' and '.join(arrow.assuming))}" if arrow.assuming else ""
    target = link(f"relations.html#level-{arrow.to}", arrow.to)
    return f"{', '.join(arrow.slots)}{together}: implies {target}{only}{assuming}, because {esc(arrow.because)}."


def _classes(kb: KB, level: str, slot: str) -> str:
    known, rows = knowledge(kb), []
    for members in known.classes(level, slot):
        if len(members) > 1:
            first, *others = sorted(members)
            reached = known.equal_to(first, level, slot)
            rows.append((html.method(first), html.listing(_same(other, reached[other]) for other in others)))
    return html.table(f"{slot}: classes at {level}", ("Representative", "Same at this level"), rows) if rows else ""


def _whole(kb: KB) -> str:
    text = html.para("Two methods are the same only where every trained object and the acting rule agree.")
    rows = []
    for level in (x for x in LEVELS if x != "limit"):
        for members in classes(kb, level):
            if len(members) > 1:
                first, *others = sorted(members)
                how = [f"{html.method(o)}: {_words(kb, first, o, level)}" for o in others]
                rows.append((level, html.method(first), html.listing(how)))
    if not rows:
        return text + html.para(f"No two are known to be, at any level up to {LAW}.")
    return text + html.table("Classes of whole methods", ("Level", "Representative", "Same method"), rows)


def _words(kb: KB, a: str, b: str, level: str) -> str:
    return esc(sentence([whole(kb, kb.nodes[a], kb.nodes[b], level)]))


def _same(other: str, proof: Proof) -> str:
    by = ", ".join(filter(None, map(source, proof.sources)))
    return f"{html.method(other)}: {html.badge(proof.kind)} {by}"


def source(name: str) -> str:
    """Return a link to a rule; a certificate needs no name."""
    return "" if name == CERTIFICATE else link(html.anchored("rules", name), name)
