"""What is fingerprinted: the slots of published methods, composed cells and variants, under laboratory settings."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify.features import shape
from flowrl_kb.certify.fingerprint import Fingerprint, of_slot
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.certify.program import Program
from flowrl_kb.kb import code
from flowrl_kb.kb.nodes import Node
from flowrl_kb.parts.types import Method

HYPER = {
    "temperature": 0.5,
    "candidates": 8,
    "best_of": 4,
    "backup_of": 4,
    "baseline_of": 4,
    "entropy_samples": 32,
    "mixture_rounds": 10,
    "density_noises": 8,
    "step_samples": 4,
    "clip": 0.2,
    "clip_base": 0.1,
    "weight_clip": 4.0,
    "log_ratio_max": 1.0,  # the square of a ratio of velocity losses has no variance without it
    "log_ratio_clip": 0.07,  # cuts a good part of the drops (test_laboratory.py); the ratio clip lies within
    "cfm_loss_max": 1.3,  # cuts a good part of the losses; above the bound of their drop
    "log_prob_clamp": (-3.5, 0.5),  # cuts tails of step sums, and much of the last step (test_laboratory.py)
    "error_max": 0.4,  # cuts a good part of the squared errors (test_laboratory.py)
    "candidate_noise_std": 0.4,  # as wide as the components of the laboratory's laws
    "target_kl": 0.1,  # well below the divergences (test_laboratory.py): near one, an update is mostly noise
    "value_clip": 0.1,  # a good part of the values lie further from those at the roll-out
    "huber_width": 0.8,  # with the two bounds below binds for a good part of the errors (test_laboratory.py)
    "spread_ratio": (0.55, 0.9),
    "min_std": 0.1,
    "bc_weight": 1.0,
    "anchor_weight": 0.3,
    "likelihood_weight": 0.3,  # at one, a loss that forgot it would pass
    "advantage_max": 1.0,
    "noise_std": 0.2,
    "acting_temperature": 0.5,
    "expectile": 0.8,
    "discount": 0.9,
    "value_min": lab.SUPPORT[0],
    "value_max": lab.SUPPORT[1],
    "pessimism": 0.5,  # with two heads, one standard deviation below the mean is the minimum
    "target_entropy": -1.0,
    "entropy_weight": 0.05,
    "kept": 4,
    "advantage_threshold": -1.0,  # in every scenario data lie on both sides; above zero one of them has none
    "action_steps": 3,
    "action_rate": 0.1,
    "copy_weight": 0.5,
    "pull_rate": 0.4,
    "pull_shift": -1.8,
    "backup_temperature": 0.8,
    "bandwidth_min": 0.1,  # it binds for some actions of the laboratory and not for others, as does the next
    "step_max": 0.3,
    "guidance_weight": 1.5,  # at one, a loss that forgot it would pass
}
"""Laboratory values of hyper-parameters, so that temperatures, clips and candidate counts suit its laws."""
KEPT = {"clip": 0.05}
"""Published values at least this large are kept: a clip so wide has laboratory samples on both of its sides."""
NO_NOISE = ("noise_std", 0.0)
"""Kept as well: a variant that executes what it generates."""
SHOWN_OUTPUT = {"gaussian-huber": "gaussian"}
"""Values of `critic-output` whose heads look like those of another value, from which only the loss differs."""
SCENES = {"drifted": lab.drifted, "at-old": lab.at_old}
_STARTED = time.time()
"""Files newer than this may not be the code that runs here; what they made must not be found by other processes."""
PACKAGE = Path(__file__).resolve().parents[1]
LABORATORY = ("laboratory", "presentation", "features", "program", "fingerprint", "subject")
SOURCES = ("parts", *(f"certify/{name}.py" for name in LABORATORY))
"""What every fingerprint depends on, beside the code that makes its losses."""
NETWORKS = ("modules.py", "networks.py")
"""Left out: the laboratory's policies are exact functions."""


def _data(node: Node | Mapping[str, str]) -> str:
    if node["setting"] == "on-policy":
        return "previous"
    return "rewritten" if node["source"] == "rewritten" else "behaviour"


def setting(node: Node | Mapping[str, str], dim: int = 2) -> Setting:
    """How the laboratory presents a method: actions come from the previous policy where it learns on-policy."""
    return Setting(
        policy=node["policy"],
        path=node["path"],
        sampler=node["sampler"],
        min_std=HYPER["min_std"],
        data=_data(node),
        critic_output=SHOWN_OUTPUT.get(node["critic-output"], node["critic-output"]),
        dim=dim,
    )


def laboratory_hyper(node: Node) -> dict[str, Any]:
    """The node's hyper-parameters with the laboratory's values in place of those that it fixes; no noise stays none."""
    values = compose.hyperparameters(node)
    given = {name: value for name, value in values.items() if value is not None and (name, value) != NO_NOISE}
    return values | {
        name: HYPER[name]
        for name, value in given.items()
        if name in HYPER and not (name in KEPT and value >= KEPT[name])
    }


def slots(method: Method) -> list[str]:
    """The slots of a method: each trained object, and acting."""
    return [*method.losses, "acting"]


def rows(method: Method, slot: str, dim: int = 2) -> int:
    """Rows of each set of features in the fingerprint of a slot (see `compare.references`)."""
    return 1 if slot == "acting" else shape(method.trains[slot], dim)[1]


def fingerprint(
    node: Node,
    slot: str,
    scenes: str = "drifted",
    *,
    composed: bool = False,
    hyper: Mapping[str, Any] | None = None,
    at: tuple[str, Callable] | None = None,
    dim: int = 2,
    box: float | None = None,
) -> Fingerprint:
    """The fingerprint of one slot of a node; variants without losses of their own are composed.

    Arguments: `hyper` replaces the laboratory's values; `at` puts the slot's object on a named exact one (see
    `resting`); `dim` and `box` are those of the actions, a box being the interval [-box, box] in every dimension.
    """
    values = dict(laboratory_hyper(node) if hyper is None else hyper) | ({} if box is None else {"box": box})
    composed = composed or not compose.has_own_losses(node)
    return _of(
        lambda: compose.of_node(node, composed, values),
        dict(node.coordinates) if composed else node.id,
        values,
        setting(node, dim)._replace(box=box),
        slot,
        scenes,
        at,
    )


def of_cell(name: str, cell: Mapping[str, str], hyper: Mapping[str, Any], slot: str, scenes: str = "drifted"):
    """The fingerprint of one slot of the method at a point of the axes."""
    return _of(lambda: compose.compose(name, cell, hyper), dict(cell), hyper, setting(cell), slot, scenes, None)


def _of(make: Callable[[], Method], who, hyper, shown: Setting, slot: str, scenes: str, at) -> Fingerprint:
    composed = isinstance(who, dict)
    made_by = [version("jaxlib"), code_hash() if composed else code_hash(*modules(who))]
    described = [who, {k: v for k, v in hyper.items() if v is not None}, shown, slot, scenes, at and at[0], made_by]
    link = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()
    if link not in _ALIVE:
        lab_scenes = SCENES[scenes](shown.dim)
        program = Program(lambda: of_slot(make(), slot, shown, at and at[1]), lab_scenes)
        made = Fingerprint(program, lab_scenes, "composed" if composed else "published", link)
        return _ALIVE.setdefault(link, made)
    return _ALIVE[link]


_ALIVE: WeakValueDictionary[str, Fingerprint] = WeakValueDictionary()
"""Fingerprints in use: a second request for one of them gets the same compiled program."""


def modules(id: str) -> list[str]:
    """What the losses of a node are made from: its file, and those that it borrows from."""
    return [*code.borrowed(id), id]


@cache
def code_hash(*published: str) -> str:
    """16 hex digits of the code that fingerprints depend on: compose.py where no published module is named."""
    digest = hashlib.sha256()
    own = [f"published/{code.module(name)}.py" for name in published] or ["compose.py"]
    for name in (*SOURCES, *own):
        path = PACKAGE / name
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            if file.name not in NETWORKS:
                digest.update(code_of(file).encode())
                if file.stat().st_mtime > _STARTED:
                    digest.update(f"edited while process {os.getpid()} runs".encode())
    return digest.hexdigest()[:16]


@cache
def code_of(file: Path) -> str:
    """What a module computes: its syntax tree without docstrings, comments and layout."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
