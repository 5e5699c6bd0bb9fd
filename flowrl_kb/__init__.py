"""A knowledge base of reinforcement learning with diffusion and flow policies.

Importing the package is cheap: the knowledge side loads on first use and nothing here imports jax.

>>> import flowrl_kb as fk
>>> kb = fk.load()
>>> kb.query("route=pathwise & reference in (fixed, previous)").satisfies  # doctest: +SKIP
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["KB", "UserError", "__version__", "audit", "load"]

_HOMES = {"load": "flowrl_kb.kb.load", "KB": "flowrl_kb.kb.load", "UserError": "flowrl_kb.errors"}
_HOMES |= {"audit": "flowrl_kb.certify.audit.core"}  # imports jax when it is asked for


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'flowrl_kb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
