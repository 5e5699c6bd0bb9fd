"""EDP's actor is undecided because one coin picks the head for a whole batch; with the coin held it is not.

With both heads equal the coin does nothing, and the published and the composed update must be equal for either head:
then so is their average over the coin.
"""

import jax.numpy as jnp
import pytest

from flowrl_kb import compose
from flowrl_kb.certify import subject
from flowrl_kb.certify.compare import decide
from flowrl_kb.certify.fingerprint import Fingerprint, of_slot
from flowrl_kb.certify.program import Program
from flowrl_kb.kb.load import load

NODE = load().nodes["edp"]


def update(head, composed, q_weight=None):
    """The actor's update where both heads of the critic are the same one."""
    shown, scenes = subject.setting(NODE), subject.SCENES["drifted"](2)
    hyper = subject.laboratory_hyper(NODE) | ({"q_weight": q_weight} if q_weight else {})

    def build():
        method = compose.of_node(NODE, composed, hyper)

        def loss(models, batch, key):
            one = lambda s, a: jnp.stack([models.critic(s, a)[head]] * 2)  # noqa: E731
            return method.losses["actor"](models._replace(critic=one), batch, key)

        return of_slot(method._replace(losses={**method.losses, "actor": loss}), "actor", shown)

    return Fingerprint(Program(build, scenes), scenes, f"head {head} {composed} {q_weight}")


@pytest.mark.slow
@pytest.mark.parametrize("head", [0, 1])
def test_with_the_coin_held_edp_is_its_cell(head):
    rows = subject.rows(compose.of_node(NODE, hyper=subject.laboratory_hyper(NODE)), "actor")
    published = update(head, composed=False)
    same = decide(published, update(head, composed=True), rows=rows)
    assert (same.verdict, same.margin) == ("equal", 0.02), same
    assert abs(same.scale - 1) < 0.02, "another scale for each head would hide a coin that is not fair"
    other = decide(published, update(head, composed=True, q_weight=2.2), rows=rows)
    assert other.verdict == "different", other
