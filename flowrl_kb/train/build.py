"""From a choice to an agent: the settings of a run on a task, and the losses under them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrl_kb import compose
from flowrl_kb.kb.load import KB
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train import agent as agents
from flowrl_kb.train import choose, settings
from flowrl_kb.train.agent import Agent
from flowrl_kb.train.choose import Choice
from flowrl_kb.train.settings import Settings

LOOPS = ("steps", "discount", "atoms")
"""Hyper-parameters that networks and loops read, whether or not a loss does."""


def settled(kb: KB, choice: Choice, task: Any, steps: int) -> Settings:
    """The card's settings under the preset of the task; a composed cell is lent what it needs and its card lacks.

    Errors: UserError for a cell without an executable part.
    """

    def preset(hyper: Mapping[str, Any]) -> Settings:
        made = Settings(choice.name, choice.coordinates, dict(hyper), {**settings.TRAINING, **choice.training})
        return settings.on_bandit(made, steps) if isinstance(task, Bandit) else settings.on_gym(made)

    chosen = preset(choice.hyper)
    if not choice.composed:
        return chosen
    lent = preset({**choose.known_hyper(kb, choice), **choice.hyper}).hyper
    hyper = {**{name: lent[name] for name in LOOPS if name in lent}, **chosen.hyper}
    return chosen._replace(hyper=compose.sufficient(choice.name, choice.coordinates, hyper, lent))


def agent(choice: Choice, chosen: Settings, task: Any) -> Agent:
    """The agent with its published losses, or those composed from its coordinates.

    Errors: UserError for a cell without an executable part.
    """
    hyper = {**chosen.hyper, "box": task.box}
    if choice.composed:
        built = compose.compose(choice.name, chosen.coordinates, hyper)
    else:
        built = compose.published(choice.name, hyper)
    return agents.make(built, chosen, task)
