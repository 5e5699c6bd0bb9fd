"""ReinFlow's actor loss against the composed one on the same chains: both are functions of the batch alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import presentation, subject
from flowrl_kb.certify.features import Perturbation, shape
from flowrl_kb.kb.load import load

NODE = load().nodes["reinflow"]


def gradient(method, scene, batch):
    """Of the actor loss in the parameters of field and noise: (sets, rows, features, d)."""

    def loss(theta):
        models = presentation.models(subject.setting(NODE), scene, {"actor": Perturbation(theta)})
        return method.losses["actor"](models, batch, jax.random.key(0))[0]

    return jax.jit(jax.grad(loss))(jnp.zeros(shape("noisy-field", 2)))


@pytest.fixture(scope="module")
def made():
    scene = jax.tree.map(lambda x: jnp.asarray(x)[0], lab.drifted(2))
    batch = presentation.batch(subject.setting(NODE), scene, jax.random.key(1), 512)
    hyper = subject.laboratory_hyper(NODE)
    return scene, batch, hyper, gradient(compose.published("reinflow", hyper), scene, batch)


def error(made, cell, hyper):
    """Relative distance of a cell's gradient from the published one, for the field and for its noise."""
    scene, batch, before, published = made
    composed = compose.compose("cell", {**NODE.coordinates, **cell}, {**before, **hyper})
    away = gradient(composed, scene, batch) - published
    norms = [(jnp.linalg.norm(away[:, i]), jnp.linalg.norm(published[:, i])) for i in (slice(0, -1), -1)]
    return np.array([float(a / b) for a, b in norms])


def test_both_gradients_agree_on_one_batch(made):
    assert np.all(error(made, {}, {}) < 1e-5)


def test_the_agreement_sees_the_bonus_and_the_product_of_steps(made):
    without = error(made, {}, {"entropy_weight": 0.0})
    assert without[0] < 1e-5 and without[1] > 1e-3  # stored states are constants: the bonus reads the noise alone
    assert np.all(error(made, {"likelihood": "per-step-chain"}, {}) > 0.2)
