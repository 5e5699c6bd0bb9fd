"""Ratio losses of variants against their cells on one batch, of which both are functions: exact where laws have tails.

The certificates of AWM's and DDPO's variants stay undecided, because ratios of single pairs or of whole densities have
tails that 32768 replicates do not average out; on one batch nothing is left to average.
"""

import jax
import jax.numpy as jnp
import pytest

from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import presentation, subject
from flowrl_kb.certify.features import Perturbation, shape
from flowrl_kb.kb.load import load

KB = load()
SCENE = jax.tree.map(lambda x: jnp.asarray(x)[0], lab.drifted(2))


def gradient(node, hyper, composed):
    method, shown = compose.of_node(node, composed, hyper), subject.setting(node)
    batch = presentation.batch(shown, SCENE, jax.random.key(1), 256)

    def loss(theta):
        models = presentation.models(shown, SCENE, {"actor": Perturbation(theta)})
        return method.losses["actor"](models, batch, jax.random.key(0))[0]

    return jnp.ravel(jax.jit(jax.grad(loss))(jnp.zeros(shape("field", 2))))


def apart(one, other):
    """Relative distance up to a scale."""
    scale = one @ other / (other @ other)
    return float(jnp.linalg.norm(one - scale * other) / jnp.linalg.norm(one))


@pytest.mark.parametrize("name", ["awm:exp-first", "ddpo:density", "dppo:flow-rl", "fpo:velocity"])
def test_the_two_gradients_agree_on_one_batch_and_another_clip_does_not(name):
    node = KB.nodes[name]
    hyper = subject.laboratory_hyper(node)
    published = gradient(node, hyper, composed=False)
    assert apart(published, gradient(node, hyper, composed=True)) < 1e-5
    assert apart(published, gradient(node, {**hyper, "clip": 0.3 * hyper["clip"]}, composed=True)) > 1e-3
