"""The relation graph: methods and variants joined by what is the same and by what differs."""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING

from flowrl_kb.kb.contradictions import contradictions
from flowrl_kb.kb.levels import LEVELS
from flowrl_kb.kb.nodes import differences
from flowrl_kb.kb.reduction import shown
from flowrl_kb.kb.relations import knowledge

if TYPE_CHECKING:
    import networkx as nx

    from flowrl_kb.kb.load import KB

__all__ = ["LEVELS", "build", "contradictions", "knowledge"]


def build(kb: KB, reach: int = 2, reduce: bool = True) -> nx.MultiDiGraph:
    """Return the graph; edge attribute `kind` is same-cell, differs-in, declared, proved, certified, refuted
    or undecided. With `reduce`, facts that others imply have no edge.

    `differs-in` joins methods that differ on at most `reach` actor mechanism axes. Symmetric relations are
    one edge from the first node to the second.
    """
    import networkx as nx

    graph = nx.MultiDiGraph()
    for node in kb.nodes.values():
        graph.add_node(
            node.id,
            card=node.card.id,
            variant=node.variant.id if node.variant else None,
            year=node.card.year,
            role=node.card.role,
            **dict(node.coordinates),
        )
    for a, b in combinations(kb.nodes.values(), 2):
        found = differences(a, b, kb.actor_axes)
        if not all(d.decided for d in found):
            continue
        if not found:
            graph.add_edge(a.id, b.id, kind="same-cell")
        elif len(found) <= reach and not (a.variant or b.variant):
            graph.add_edge(a.id, b.id, kind="differs-in", axes=tuple(d.axis.id for d in found))
    known = knowledge(kb)
    for fact in shown(known) if reduce else known.facts:
        graph.add_edge(fact.a, fact.b, **{k: v for k, v in vars(fact).items() if k not in ("a", "b")})
    for s in known.separated:
        for a, b in product(sorted(s.left), sorted(s.right)):
            if a != b:
                graph.add_edge(a, b, kind="refuted", level=s.level, source=s.witness, slot=s.slot, figure=s.figure)
    return graph
