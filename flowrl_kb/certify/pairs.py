"""Pairs: which actor updates agree, and at which level.

Fingerprints are taken once for each node (cost linear in the number of methods); comparing two of them is arithmetic.
Same-update is asked in scenarios where the previous policy differs from the current one, same-update-at-old where it
does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.certificate import LOOKS, fingerprint, laboratory_hyper
from flowrl_kb.certify.compare import MARGIN, compare
from flowrl_kb.certify.fingerprint import Fingerprint
from flowrl_kb.kb.load import KB
from flowrl_kb.kb.nodes import Node

LEVELS = {"same-update": lab.drifted, "same-update-at-old": lab.at_old}


def comparable(a: Node, b: Node) -> bool:
    """Two actor updates share coordinates when they train the same kind of policy at the same law of noise levels."""
    return a["policy"] == b["policy"] and (a["policy"] != "field" or a["path"] == b["path"])


def nodes(kb: KB) -> list[Node]:
    """Every method, and every stripped core."""
    return [node for node in kb.nodes.values() if node.variant is None or node.is_core]


def _decide(a: Fingerprint, b: Fingerprint) -> tuple[str, Any]:
    for n in LOOKS:
        result = compare(a.take(n), b.take(n))
        if result.verdict != "undecided" or (n >= LOOKS[1] and result.worst_residual > 3 * MARGIN):
            break
    return result.verdict, result


def table(kb: KB, chosen: Iterable[Node] | None = None) -> list[dict[str, Any]]:
    """All comparable pairs at both levels. A pair that agrees at a level is not asked at a weaker one."""
    chosen = list(chosen or nodes(kb))
    rows, settled = [], set()
    for level, scenes in LEVELS.items():
        prints: dict[str, Fingerprint] = {}
        for a, b in combinations(chosen, 2):
            if not comparable(a, b) or (a.id, b.id) in settled:
                continue
            for index, node in enumerate(chosen):
                if node.id in (a.id, b.id) and node.id not in prints:
                    method = compose.of_node(node, hyper=laboratory_hyper(node))
                    prints[node.id] = fingerprint(method, "actor", node, 100 + index, scenes())
            verdict, result = _decide(prints[a.id], prints[b.id])
            if verdict == "equal":
                settled.add((a.id, b.id))
            rows.append(
                {
                    "a": a.id,
                    "b": b.id,
                    "slot": "actor",
                    "level": level,
                    "verdict": verdict,
                    "worst_residual": round(result.worst_residual, 4),
                    "scale": round(result.scale, 4),
                    "variance_ratio": round(result.variance_ratio, 4),
                    "replicates": result.replicates,
                    "assumptions": [],
                }
            )
    return rows
