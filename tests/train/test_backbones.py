"""Residual backbones against their formulas in NumPy, and as a choice of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.errors import UnknownName, UserError
from flowrl_kb.parts import modules, networks, path
from flowrl_kb.parts.networks import Shape
from flowrl_kb.train import settings
from flowrl_kb.train.settings import Settings

SHAPE = Shape(ds=3, d=2, hidden=(8, 8), path=path.vp(), grid=jnp.linspace(0.99, 0.0, 4), box=1.0, activation="relu")
RNG = np.random.default_rng(0)
INPUTS = {name: jnp.asarray(RNG.normal(size=n), jnp.float32) for name, n in {"s": (5, 3), "a": (7, 5, 2)}.items()}


def normalised(h, p):
    return (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-6) * p["scale"] + p["bias"]


def dense(h, p):
    return h @ p["kernel"] + p["bias"]


def joined(p):
    return np.asarray(INPUTS["s"]) @ p["s"]["kernel"] + np.asarray(INPUTS["a"]) @ p["a"]["kernel"] + p["bias"]


def simba(p):
    h = joined(p)
    for i in range(2):
        inner = dense(normalised(h, p[f"LayerNorm_{i}"]), p[f"Dense_{2 * i}"])
        h = h + dense(np.maximum(inner, 0), p[f"Dense_{2 * i + 1}"])
    return dense(normalised(h, p["LayerNorm_2"]), p["out"])


def bronet(p):
    h = np.maximum(normalised(joined(p), p["LayerNorm_0"]), 0)
    for i in range(2):
        inner = np.maximum(normalised(dense(h, p[f"Dense_{2 * i}"]), p[f"LayerNorm_{2 * i + 1}"]), 0)
        h = h + normalised(dense(inner, p[f"Dense_{2 * i + 1}"]), p[f"LayerNorm_{2 * i + 2}"])
    return dense(h, p["out"])


@pytest.mark.parametrize("name, formula", [("simba", simba), ("bronet", bronet)])
def test_a_backbone_is_its_formula(name, formula):
    net = modules.BACKBONES[name]((8, 8), 4, 1.0, "relu")
    params = net.init(jax.random.key(0), INPUTS)
    moved = jax.tree.map(lambda x: x + 0.1 * RNG.normal(size=x.shape).astype(np.float32), params)  # biases are not zero
    out = net.apply(moved, INPUTS)
    np.testing.assert_allclose(out, formula(moved["params"]), rtol=1e-4, atol=1e-5)
    again = net.apply(moved, dict(reversed(INPUTS.items())))  # jit sorts them
    np.testing.assert_allclose(out, again, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["simba", "bronet"])
@pytest.mark.parametrize("kind", ["field", "noisy-field", "critic", "gaussian", "value", "energy"])
def test_every_kind_can_stand_on_it_with_parameters_of_its_own(kind, backbone):
    shape = SHAPE._replace(backbone=backbone)
    made = networks.build(kind, shape, jax.random.key(0))
    assert "LayerNorm_0" in str(jax.tree.structure(made))
    size = lambda tree: sum(x.size for x in jax.tree.leaves(tree))  # noqa: E731
    assert size(made) > size(networks.build(kind, SHAPE, jax.random.key(0)))
    networks.bind(kind, made, shape)


def changed(**values):
    return settings.override(Settings("sdac", {}, {}, dict(settings.TRAINING)), values).training


def test_a_backbone_is_chosen_by_name_for_all_or_for_one_object():
    assert changed(backbone="simba")["backbone"] == "simba"
    assert changed(critic_backbone="bronet", critic_hidden=[64, 64])["critic_backbone"] == "bronet"
    with pytest.raises(UnknownName, match="did you mean simba"):
        changed(backbone="simbo")


def test_a_residual_network_has_one_width():
    with pytest.raises(UserError, match=r"critic_backbone=simba: found hidden widths \[64, 32\], expected equal ones"):
        changed(critic_backbone="simba", critic_hidden=[64, 32])
    assert changed(critic_hidden=[64, 32])["critic_hidden"] == (64, 32), "a perceptron may taper"
