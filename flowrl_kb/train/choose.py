"""From what the user names (a method, a variant, a cell) to a runnable method and its settings. Never imports jax."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from flowrl_kb.errors import UserError
from flowrl_kb.kb import code
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node
from flowrl_kb.kb.schema import NOT_APPLICABLE, UNKNOWN, Law


class Choice(NamedTuple):
    """`composed` says whether the losses come from `parts` (a cell, a variant, `--composed`) or from the paper.

    `coordinates` complete; `hyper` and `training` as published, with the variant's changes; `law` what the card
    predicts (None for a cell that no card fills); `notes` lines for the user; `identity` where the numbers came from.
    """

    name: str
    card: str | None
    composed: bool
    coordinates: dict[str, str]
    hyper: dict[str, Any]
    training: dict[str, Any]
    law: Law | None
    notes: tuple[str, ...]
    identity: dict[str, Any]


def method(kb: KB, name: str, composed: bool) -> Choice:
    """A catalogued method or variant; variants without losses of their own are composed."""
    node = kb.resolve(name)
    notes = ()
    if node.variant is not None and not composed and not code.published(node.id):
        composed, notes = True, (f"{node.id}: a variant runs as its composed cell ({node.variant.summary})",)
    law = node.card.law if node.variant is None else None
    return _choice(kb, node, node.id, dict(node.coordinates), composed, notes, law)


def cell(kb: KB, text: str) -> Choice:
    """A cell `axis=value,...`; axes that are not named are filled from the nearest catalogued method.

    Nearest: most named coordinates in common, then the older card; a base whose other values would contradict a
    constraint is passed over. Errors: UserError for an impossible cell.
    """
    from flowrl_kb.kb import cells

    found = {axis: value for axis, value in cells.parse(kb, text).items() if value != UNKNOWN}
    broken = cells.violations(kb, found)
    if broken:
        raise UserError(f"--cell: impossible by {broken[0].id}: {broken[0].because}")
    methods = code.executable(kb)
    bases = sorted(methods, key=lambda n: (sum(n[a] != v for a, v in found.items()), n.card.date, n.id))
    for base in bases:
        filled = {**base.coordinates, **found}
        if not cells.violations(kb, filled):
            rest = ", ".join(f"{a}={v}" for a, v in found.items() if base[a] != v) or "nothing"
            notes = (f"cell: based on {base.id}, changed: {rest}",)
            name = "cell" if rest != "nothing" else base.id
            return _choice(kb, base, name, filled, True, notes, base.card.law if rest == "nothing" else None)
    broken = cells.violations(kb, {**bases[0].coordinates, **found})
    raise UserError(
        f"--cell: no catalogued method can fill the other axes; filled from {bases[0].id} it violates "
        f"{broken[0].id}: {broken[0].because}"
    )


def _choice(
    kb: KB, node: Node, name: str, coordinates: dict[str, str], composed: bool, notes: tuple[str, ...], law: Law | None
) -> Choice:
    card = node.card
    undecided = [a for a, v in coordinates.items() if v == UNKNOWN]
    coordinates |= {a: "none" for a, v in coordinates.items() if v == NOT_APPLICABLE}
    if composed and undecided:
        raise UserError(f"{name}: cannot be composed, undecided on {', '.join(undecided)}")
    hyper = {key: entry.value for key, entry in card.hyperparameters.items()}
    training = {key: entry.value for key, entry in card.training.items()}
    changes = node.variant.hyperparameters if node.variant else {}
    for key, value in changes.items():
        (training if key in training else hyper)[key] = value
    path, _ = kb.place("card", card.id)
    digest = hashlib.sha256((kb.root / path).read_bytes()).hexdigest()
    identity = {"card": card.id, "card_sha256": digest}
    return Choice(name, card.id, composed, coordinates, hyper, training, law, notes, identity)


def known_hyper(kb: KB, choice: Choice) -> Mapping[str, Any]:
    """Hyper-parameters that a composed cell may need beyond its base card, from the oldest card that has them.

    What no card has comes from the oldest variant.
    """
    cards = sorted(kb.cards.values(), key=lambda c: (c.date, c.id))
    given = [(key, entry.value) for card in cards for key, entry in card.hyperparameters.items()]
    given += [pair for card in cards for variant in card.variants for pair in variant.hyperparameters.items()]
    found: dict[str, Any] = {}
    for key, value in given:
        if key in kb.terms and key not in choice.hyper:
            found.setdefault(key, value)
    return found
