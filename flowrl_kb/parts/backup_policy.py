"""Which copy of the actor proposes the next actions of a Bellman target. Conditional axis `backup-policy`."""

from __future__ import annotations

from flowrl_kb.parts.types import Models


def online(models: Models):
    """The actor that is being trained."""
    return models.actor


def target(models: Models):
    """Its slowly moving average."""
    return models.target_actor


def old(models: Models):
    """The frozen previous iterate."""
    return models.old


def guided(models: Models, *, guiding):
    """The moving average under the guidance with which it acts."""
    return guiding(models).target_actor
