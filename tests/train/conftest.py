"""Methods with small networks on small tasks."""

import pytest

from flowrl_kb import compose
from flowrl_kb.kb.load import load
from flowrl_kb.tasks import bandits
from flowrl_kb.train import agent as agents
from flowrl_kb.train import choose, settings


@pytest.fixture(scope="session")
def make_agent():
    """agent(name, task, steps, **changes): a method with the bandit preset and tiny networks."""
    kb = load()

    def make(name, task=None, steps=100, composed=False, **changes):
        task = task or bandits.get("two-modes-1d")
        choice = choose.method(kb, name, composed)
        chosen = settings.Settings(
            choice.name, choice.coordinates, dict(choice.hyper), {**settings.TRAINING, **choice.training}
        )
        chosen = settings.on_bandit(chosen, steps)
        chosen = settings.override(chosen, {"hidden": (16, 16), "batch": 16, **changes})
        hyper = {**chosen.hyper, "box": task.box}
        method = (
            compose.compose(choice.name, choice.coordinates, hyper)
            if choice.composed
            else compose.published(choice.card, hyper)
        )
        return agents.make(method, chosen, task)

    return make
