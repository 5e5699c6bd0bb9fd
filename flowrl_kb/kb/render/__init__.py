"""The generated pages of the site: the knowledge base in, Markdown with HTML blocks out; no mkdocs here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowrl_kb.kb.export import FORMATS
from flowrl_kb.kb.render import (
    axis,
    chart,
    completeness,
    executable,
    home,
    ledger,
    method,
    methods,
    relations,
    rule,
    terms,
    witness,
)
from flowrl_kb.kb.render.html import anchored, place

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB

__all__ = ["addresses", "downloads", "inserts", "pages", "pictures"]


def pages(kb: KB) -> dict[str, str]:
    """Return every generated page: path below the site root -> Markdown."""
    made = {
        "methods/index.md": methods.page(kb),
        "axes/index.md": axis.index(kb),
        "rules/index.md": rule.index(kb),
        "relations.md": relations.page(kb),
        "ledger.md": ledger.page(kb),
        "terms.md": terms.page(kb),
        "witnesses/index.md": witness.index(kb),
        "completeness.md": completeness.page(kb),
    }
    made |= {"maps/index.md": chart.index(kb)}
    made |= {f"maps/{id}.md": chart.page(kb, id) for id in kb.projections}
    made |= {f"methods/{id}.md": method.page(kb, kb.nodes[id]) for id in kb.cards}
    made |= {f"axes/{id}.md": axis.page(kb, id) for id in kb.axes}
    made |= {f"rules/{id}.md": rule.page(kb, id) for id in kb.rules}
    made |= {f"witnesses/{id}.md": witness.page(kb, id) for id in kb.witnesses}
    return {path: place(path, text) for path, text in made.items()}


def inserts(kb: KB, path: str) -> dict[str, str]:
    """Return the blocks that hand-written pages name as `<!-- kb:NAME -->`, with links relative to `path`."""
    return {name: place(path, make(kb)) for name, make in home.BLOCKS.items()}


def pictures(kb: KB) -> dict[str, Path]:
    """Return the law pictures: path below the site root -> file."""
    found = (executable.picture(kb, id) for id in kb.cards)
    return {f"laws/{path.name}": path for path in found if path is not None}


def downloads(kb: KB) -> dict[str, str]:
    """Return the knowledge base in the formats of `flowrl-kb export`: path below the site root -> text."""
    names = {
        "json": "flowrl-kb.json",
        "csv": "flowrl-kb.csv",
        "bibtex": "flowrl-kb.bib",
        "schema": "card.schema.json",
    }
    return {f"data/{file}": FORMATS[format](kb) for format, file in names.items()}


def addresses(kb: KB) -> set[str]:
    """Return the address, below the site root, of every card, variant, axis, value, rule, witness and term."""
    return {
        *(anchored("methods", id) for id in kb.cards),
        *(anchored("methods", n.card.id, f"variant-{n.variant.id}") for n in kb.nodes.values() if n.variant),
        *(anchored("axes", id) for id in kb.axes),
        *(anchored("axes", axis.id, value.id) for axis in kb.axes.values() for value in axis.values),
        *(anchored("rules", id) for id in kb.rules),
        *(anchored("witnesses", id) for id in kb.witnesses),
        *(anchored("term", id) for id in kb.terms),
    }
