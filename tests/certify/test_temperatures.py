"""Temperatures rest where what they follow is at its target.

The price of an entropy does not change it, so that no temperature is right for all targets: the target is moved to what
the laboratory's policy has at the laboratory's temperature, worked out apart, and the published loss must be flat there
and not beside it.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import presentation, resting, subject
from flowrl_kb.certify.fingerprint import gradient
from flowrl_kb.kb.code import executable, published
from flowrl_kb.kb.load import load

KB = load()
SCENE = lab.scenario(2, 0.8, 0.6)
BATCHES, STATES = 64, 20_000
"""Gradients that are averaged, of 256 states each; states behind a target."""
OFF = 0.1
"""How far beside its target a control stands, per dimension of an action."""
UNIT = 0.5 * np.log(2.0 * np.pi * np.e)


def contexts(rows: int = STATES):
    return jax.random.uniform(jax.random.key(20), (rows, lab.CONTEXT), minval=-1.0, maxval=1.0)


def of_gaussian(node, hyper) -> float:
    """The entropy of the Gaussian policy, by its deviations."""
    policy = presentation.policy(subject.setting(node), lab.law(SCENE, "current"))
    return float(np.mean(policy.net(contexts())[1])) + UNIT


def of_noise(node, hyper) -> float:
    """The entropy of the acting noise."""
    return float(np.log(hyper["noise_std"] * presentation.TEMPERATURE)) + UNIT


def of_path(node, hyper) -> float:
    """The bound of DIME: less the log-density of its chain over that of noising back by Euler steps."""
    field, s = presentation.policy(subject.setting(node), lab.law(SCENE, "current")), contexts()
    chain = np.asarray(field.chain(jax.random.key(21), s))

    def log_normal(x, mean, variance):
        return -0.5 * np.sum((x - mean) ** 2 / variance + np.log(2.0 * np.pi * variance), axis=-1)

    total = log_normal(chain[0], 0.0, 1.0)
    for x, new, t, u in zip(chain[:-1], chain[1:], field.grid[:-1], field.grid[1:], strict=True):
        beta = float(jnp.log(field.path.alpha(u) / field.path.alpha(t)))
        score = -np.asarray(field.eps(x, jnp.full(STATES, t), s)) / float(field.path.sigma(t))
        total += log_normal(new, x + beta * (x + 2.0 * score), 2.0 * beta) - log_normal(x, (1 - beta) * new, 2 * beta)
    return -float(total.mean()) / 2.0


def of_mixture(node, hyper) -> float:
    """The fitted entropy of executed actions: an estimate without a closed form, so that the part's stands for it."""
    loss = compose.of_node(node, composed=True, hyper=hyper).losses["log_temperature"]
    shown = subject.setting(node)

    def entropy(key):
        data = presentation.batch(shown, SCENE, key, 256)
        return loss(presentation.models(shown, SCENE, {}), data, key)[1]["entropy"]

    keys = jax.random.split(jax.random.key(22), BATCHES)
    return float(jnp.mean(jax.jit(lambda keys: jax.lax.map(entropy, keys))(keys))) / 2.0


def of_weights(node, hyper) -> float:
    """The divergence of the weights of noised candidates from equal ones, weights by their formulas in NumPy."""
    k, rng, s = hyper["candidates"], np.random.default_rng(23), contexts()
    old = presentation.policy(subject.setting(node), lab.law(SCENE, "previous"))
    a = np.asarray(old.sample(jax.random.key(24), s, (k,)))
    a = a + hyper["candidate_noise_std"] * rng.normal(size=a.shape)
    q = np.asarray(lab.q_heads(SCENE.critic)(jnp.broadcast_to(s, (k, *s.shape)), jnp.asarray(a))).mean(0)
    scaled = (q - q.max(0)) / presentation.TEMPERATURE
    if node["operator"] == "exponential":
        w = np.exp(scaled)
    else:  # affine weights of mean one, cut at zero, their constant by halving an interval
        low, high = np.full(q.shape[1:], -float(k)), np.full(q.shape[1:], float(k))
        low = low + scaled.min(0)
        for _ in range(60):
            middle = 0.5 * (low + high)
            much = np.maximum(scaled - middle, 0.0).mean(0) > 1.0
            low, high = np.where(much, middle, low), np.where(much, high, middle)
        w = np.maximum(scaled - low, 0.0)
    w = w / w.sum(0)
    return float(np.mean(np.log(k) + np.sum(w * np.log(np.maximum(w, 1e-30)), axis=0)))


FOLLOWED = {
    **dict.fromkeys(["sac", "dsrl", "policy-decorator"], of_gaussian),
    **dict.fromkeys(["aca", "sdac:official", "idem:relax"], of_noise),
    **dict.fromkeys(["dacer", "dacer:flow-rl", "dacerv2"], of_mixture),
    **dict.fromkeys(["dpmd:flow-rl", "gempo:flow-rl"], of_weights),
    "dime": of_path,
}


def slope(node, hyper) -> tuple[float, float]:
    """The mean gradient of the published loss in the logarithm of the temperature, and its standard error."""
    method, shown = compose.of_node(node, hyper=hyper), subject.setting(node)

    def one(key):
        return gradient(method.losses["log_temperature"], "log_temperature", "scalar", shown, SCENE, key)

    keys = jax.random.split(jax.random.key(25), BATCHES)
    found = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(keys)).ravel()
    return float(found.mean()), float(found.std() / np.sqrt(BATCHES))


@cache
def target(name: str) -> float:
    node = KB.nodes[name]
    return FOLLOWED[name](node, subject.laboratory_hyper(node))


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_temperature_rests_where_its_target_is_met(name):
    node = KB.nodes[name]
    hyper, key = subject.laboratory_hyper(node), "target_kl" if FOLLOWED[name] is of_weights else "target_entropy"
    mean, error = slope(node, hyper | {key: target(name)})
    beside, _ = slope(node, hyper | {key: target(name) + OFF})
    assert abs(mean) < 0.1 * abs(beside) + 4.0 * error
    assert abs(beside) > 10.0 * error, "the loss is flat beside its target too"


def test_every_trained_temperature_is_asked():
    trained = [
        n.id for n in executable(KB, variants=True) if published(n.id) and "log_temperature" in resting.trains(n)
    ]
    assert set(trained) == set(FOLLOWED)
