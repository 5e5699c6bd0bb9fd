"""A new method card with every axis unknown and its possible values beside it."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from flowrl_kb.errors import UserError

if TYPE_CHECKING:
    from flowrl_kb.kb.load import KB


def text(kb: KB, id: str) -> str:
    """Return the YAML of an empty card: valid, with nothing claimed."""
    lines = [
        f"id: {id}",
        f"name: {id.upper()}",
        "title: 'title of the paper'",
        "authors: 'authors'",
        f"date: '{date.today():%Y-%m}'  # date of the first version of the paper",
        "# arxiv: '0000.00000'  # in quotes",
        "summary: 'one sentence that says what the actor update does'",
        "code: []  # - {repo: owner/name, path: file.py, role: official, read: true}",
        "coordinates:",
    ]
    for kind in ("mechanism", "conditional"):
        lines.append(f"  # {kind} axes")
        for axis in (axis for axis in kb.axes.values() if axis.kind == kind):
            lines += [
                f"  {axis.id}: {{value: unknown}}  # {axis.question}",
                f"  #   {', '.join(value.id for value in axis.values)}",
            ]
    lines += [
        "losses: {}",
        "hyperparameters: {}  # name: {value: 0.1, source: 'paper, table 1'}",
        "unverified: ['everything: this card is a scaffold']",
        "",
    ]
    return "\n".join(lines)


def write(kb: KB, id: str, folder: Path | None = None) -> Path:
    """Write a scaffold for `id` and return its path; refuse a bad or taken id and an existing file."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", id):
        raise UserError(f"found id {id!r}, expected lower-case letters, digits and hyphens")
    if id in kb.cards:
        path, line = kb.place("card", id)
        raise UserError(f"{id} is already catalogued in {path}:{line}; nothing was written")
    owner = next((c.id for c in kb.cards.values() if id in {a.lower() for a in (c.name, *c.aliases)}), None)
    if owner:
        raise UserError(f"{id} is already a name of {owner}; nothing was written")
    # Cards inside an installed package are not the user's to add to.
    own = Path(".") if kb.root.name == "_data" else kb.root / "methods"
    path = (folder or own) / f"{id}.yaml"
    if not path.parent.is_dir():
        raise UserError(f"found no folder {path.parent}, expected one to write to")
    content = text(kb, id)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        raise UserError(f"{path} exists; nothing was written") from None
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    return path
