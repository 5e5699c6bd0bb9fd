"""No gradient reaches what a card lists under `stop_gradients`; without the stop it would. Taxonomy note E37."""

import jax
import jax.numpy as jnp
import pytest

from flowrl_kb import compose
from flowrl_kb.certify.certificate import laboratory_hyper
from flowrl_kb.kb.load import load
from flowrl_kb.parts.path import linear
from flowrl_kb.parts.policy import Field, Map
from flowrl_kb.parts.types import Batch, Models
from flowrl_kb.published import fql

NODE = load().nodes["fql"]
BATCH = Batch(s=jnp.linspace(-1.0, 1.0, 8)[:, None], a=jnp.ones((8, 2)))
KEY = jax.random.PRNGKey(0)


def teacher(weight):
    """A flow with one trained number."""
    return Field(lambda x, t, s: weight * x + s, linear(), jnp.linspace(1.0, 0.0, 4), 2, "velocity", "ode")


def models(weight):
    return Models(
        actor=Map(lambda s, z: 0.3 * z + s, 2), behaviour=teacher(weight), critic=lambda s, a: jnp.sum(a, -1)[None]
    )


@pytest.mark.parametrize("composed", [False, True], ids=["published", "composed"])
def test_distillation_does_not_train_the_cloned_flow(composed):
    loss = compose.of_node(NODE, composed=composed, hyper=laboratory_hyper(NODE)).losses["actor"]
    assert jax.grad(lambda w: loss(models(w), BATCH, KEY)[0])(0.7) == 0.0
    assert loss(models(0.7), BATCH, KEY)[0] != loss(models(0.2), BATCH, KEY)[0], "the flow enters the loss"


def test_the_same_distance_without_a_stop_would_train_it():
    def distance(weight):
        z = jax.random.normal(KEY, BATCH.a.shape)
        return jnp.mean((0.3 * z + BATCH.s - fql.teacher_actions(teacher(weight), BATCH.s, z, None)) ** 2)

    assert abs(jax.grad(distance)(0.7)) > 0.1
