"""From a choice to an agent: the settings of a run on a task, and the losses under them."""

from __future__ import annotations

from typing import Any

from flowrl_kb import compose
from flowrl_kb.kb.load import KB
from flowrl_kb.tasks.bandits import Bandit
from flowrl_kb.train import agent as agents
from flowrl_kb.train import choose, settings
from flowrl_kb.train.agent import Agent
from flowrl_kb.train.choose import Choice
from flowrl_kb.train.settings import Settings


def settled(kb: KB, choice: Choice, task: Any, steps: int) -> Settings:
    """The card's settings under the preset of the task; a composed cell is lent what other cards know."""

    def preset(made: Settings) -> Settings:
        return settings.on_bandit(made, steps) if isinstance(task, Bandit) else settings.on_gym(made)

    card = Settings(choice.name, choice.coordinates, choice.hyper, {**settings.TRAINING, **choice.training})
    chosen = preset(card)
    if choice.composed:
        # Silent, because most of what other cards lend is not read.
        lent = card._replace(hyper=choose.known_hyper(kb, choice))
        lent = preset(lent) if isinstance(task, Bandit) else lent
        chosen = chosen._replace(hyper={**lent.hyper, **chosen.hyper})
    return chosen


def agent(choice: Choice, chosen: Settings, task: Any) -> Agent:
    """The agent with its published losses, or those composed from its coordinates.

    Errors: UserError for a cell without an executable part.
    """
    hyper = {**chosen.hyper, "box": task.box}
    if choice.composed:
        built = compose.compose(choice.name, chosen.coordinates, hyper)
    else:
        built = compose.published(choice.card, hyper)
    return agents.make(built, chosen, task)
