"""What critics should end at, against batches of the laboratory with targets written out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.certify import backup_oracles as backups
from flowrl_kb.certify import critic_oracles as critics
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import presentation, subject
from flowrl_kb.certify.features import ATOMS
from flowrl_kb.kb.load import load

KB = load()
SCENE = lab.scenario(2, 0.8, 0.6)
S = np.array([0.3, -0.6], np.float32)
ROWS = 200_000
VP = presentation.lab_path("vp")


def of(name: str, wrong: bool = False):
    """Node, laboratory values and the exact critic of a method, its continuation from many draws."""
    node = KB.nodes[name]
    hyper = subject.laboratory_hyper(node)
    return node, hyper, critics.exact(node, hyper, wrong)(SCENE, VP)


@pytest.fixture(autouse=True)
def many_draws(monkeypatch):
    monkeypatch.setattr(critics, "ROWS", ROWS)


def batch(node, rows: int = ROWS):
    return presentation.batch(subject.setting(node), SCENE, jax.random.key(5), rows)


def ahead(output) -> float:
    """What the exact heads add to the mean reward."""
    a = jnp.zeros(2)
    return float(output["heads"](S, a)[0] - backups.mean_reward(SCENE, S, a))


def test_a_clipped_and_smoothed_backup():
    """TD3's target by hand, at the laboratory's batch."""
    node, hyper, exact = of("td3")
    data = batch(node)
    mean = presentation.policy(subject.setting(node), lab.law(SCENE, "averaged")).mean(data.next_s)
    noise = hyper["backup_noise_std"] * np.random.default_rng(0).normal(size=mean.shape)
    most = hyper["backup_noise_clip"]
    q = np.asarray(lab.q_heads(SCENE.target_critic)(data.next_s, mean + np.clip(noise, -most, most)))
    y = np.asarray(data.reward) + hyper["discount"] * np.asarray(data.not_done) * q.min(0)
    expected = np.mean(y - np.asarray(backups.mean_reward(SCENE, data.s, data.a)))
    np.testing.assert_allclose(ahead(exact), expected, atol=8e-3)
    assert abs(ahead(of("td3", wrong=True)[2]) - expected) > 0.05, "the mean of heads would pass as well"


def test_a_soft_backup_has_the_entropy_of_the_gaussian():
    """SAC's target by hand, with log-densities of its draws."""
    node, hyper, exact = of("sac")
    data = batch(node)
    policy = presentation.policy(subject.setting(node), lab.law(SCENE, "current"))
    mean, log_std = (np.asarray(x) for x in policy.net(data.next_s))
    unit = np.random.default_rng(1).normal(size=mean.shape)
    log_p = np.sum(-0.5 * unit**2 - log_std - 0.5 * np.log(2.0 * np.pi), axis=-1)
    q = np.asarray(lab.q_heads(SCENE.target_critic)(data.next_s, mean + np.exp(log_std) * unit)).min(0)
    y = np.asarray(data.reward) + hyper["discount"] * np.asarray(data.not_done) * (q - presentation.TEMPERATURE * log_p)
    expected = np.mean(y - np.asarray(backups.mean_reward(SCENE, data.s, data.a)))
    np.testing.assert_allclose(ahead(exact), expected, atol=8e-3)
    entropy = hyper["discount"] * 0.9 * presentation.TEMPERATURE * -log_p.mean()
    assert abs(entropy) > 0.05, "a critic without entropy would pass as well"


def test_a_state_value_as_backup():
    node, hyper, exact = of("iql")
    next_s = np.random.default_rng(2).uniform(-1.0, 1.0, size=(ROWS, 2)).astype(np.float32)
    expected = hyper["discount"] * 0.9 * np.mean(lab.state_value(SCENE.critic, 2)(next_s))
    np.testing.assert_allclose(ahead(exact), expected, atol=8e-3)
    shorter = ahead(of("iql", wrong=True)[2])
    np.testing.assert_allclose(shorter, ahead(exact) / critics.SHORTER, rtol=1e-5)


def test_a_planned_backup_is_the_mean_of_a_maximum():
    """With the values of next contexts as given, against draws of the noise of rewards and of ends."""
    node, hyper, _ = of("sfbc")
    case = backups.Case(node, hyper, backups.over_heads("min", 0.0), hyper["discount"])
    key, rng = jax.random.key(10), np.random.default_rng(3)
    v = np.tile(np.asarray(backups.values(case, SCENE, key, 16384)), 16)
    target = 0.3 * rng.normal(size=v.shape) + hyper["discount"] * (rng.uniform(size=v.shape) > 0.1) * v
    np.testing.assert_allclose(backups.planned(case, SCENE, key, 16384), np.maximum(0.0, target).mean(), atol=5e-3)


@pytest.mark.parametrize("name", ["min", "mean", "lcb"])
def test_heads_are_read_as_their_names_say(name):
    q = np.random.default_rng(4).normal(size=(2, 5))
    expected = {"min": q.min(0), "mean": q.mean(0), "lcb": q.mean(0) - 0.3 * q.std(0)}[name]
    np.testing.assert_allclose(backups.over_heads(name, 0.3)(q), expected, rtol=1e-5)


def test_backups_read_candidates_in_four_ways():
    q = jnp.array([[[0.0], [3.0]], [[2.0], [1.0]]])  # heads, candidates, contexts
    least = backups.over_heads("min", 0.0)
    got = {name: float(read(q, least, 1.0)[0]) for name, read in backups.READ.items()}
    soft = np.exp([0.0, 1.0]) @ [0.0, 1.0] / np.exp([0.0, 1.0]).sum()
    assert got == pytest.approx({"identity": 1.5, "rank": 2.0, "selection": 1.0, "exponential": soft})


def test_next_actions_stay_in_the_box_of_a_card():
    node = KB.nodes["edp"]
    hyper = subject.laboratory_hyper(node)
    s = backups.contexts(jax.random.key(12), 256)
    for box, inside in ((hyper["box"], True), (None, False)):
        case = backups.Case(node, hyper | {"box": box}, backups.over_heads("min", 0.0), hyper["discount"])
        a = backups.candidates(case, case.models(SCENE), jax.random.key(13), s)
        assert (np.abs(a).max() <= hyper["box"]) == inside


def test_the_spread_of_a_gaussian_critic_is_that_of_drawn_returns():
    """DACER's drawn returns by hand, on batches of the laboratory."""
    node, hyper, exact = of("dacer")
    data, rng = batch(node), np.random.default_rng(6)
    policy = presentation.policy(subject.setting(node), lab.law(SCENE, "current"))
    noise = hyper["backup_noise_std"] * presentation.TEMPERATURE * rng.normal(size=data.a.shape)
    a = np.asarray(policy.sample(jax.random.key(7), data.next_s)) + noise
    q, spread = (np.asarray(h(SCENE.target_critic)(data.next_s, a)) for h in (lab.q_heads, lab.spread_heads))
    first, rows = q.argmin(0), np.arange(ROWS)
    drawn = q[first, rows] + spread[first, rows] * np.clip(rng.normal(size=ROWS), -3.0, 3.0)
    gap = np.asarray(data.reward + hyper["discount"] * data.not_done * drawn - exact["heads"](data.s, data.a)[0])
    typical = np.asarray(lab.spread_heads(SCENE.target_critic)(data.s, data.a)).mean(1)
    expected = [
        np.sqrt(np.mean(np.clip(gap, -hyper["spread_clip"] * m, hyper["spread_clip"] * m) ** 2)) for m in typical
    ]
    np.testing.assert_allclose(exact["spread"](S, jnp.zeros(2)), expected, rtol=8e-3)
    assert np.mean(np.abs(gap) > hyper["spread_clip"] * typical[0]) > 0.01, "the cut does not act"


def test_the_law_of_a_categorical_critic_has_the_mean_of_the_return():
    """Without the entropy of outputs: the projected law keeps the mean of the returns within the atoms."""
    node = KB.nodes["dime"]
    hyper = subject.laboratory_hyper(node) | {"output_entropy": 0.0, "value_min": -40.0, "value_max": 40.0}
    a = jnp.zeros(2)
    logits = critics.exact(node, hyper)(SCENE, VP)["logits"](S, a)
    atoms = jnp.linspace(-40.0, 40.0, ATOMS)
    got = float(jax.nn.softmax(logits[0]) @ atoms - backups.mean_reward(SCENE, S, a))
    shown, case = subject.setting(node), backups.Case(node, hyper, backups.over_heads("min", 0.0), hyper["discount"])
    models, s = presentation.models(shown, SCENE, {}), backups.contexts(jax.random.key(11), 16384)
    chain = models.actor.chain(jax.random.key(8), s)
    p = np.asarray(jax.nn.softmax(models.target_logits(s, case.actor(models).action(chain[-1])), axis=-1)).mean((0, 1))
    bonus = -presentation.TEMPERATURE * float(jnp.mean(_path_cost(models.actor, chain, s)))
    np.testing.assert_allclose(got, hyper["discount"] * 0.9 * (p @ np.asarray(atoms) + bonus), atol=5e-2)
    assert abs(bonus) > 0.2, "a critic without a bonus would pass as well"


def _path_cost(field, chain, s):
    """log p of the start and of the generated steps, less that of the Euler steps of noising back."""

    def log_normal(x, mean, variance):
        return -0.5 * jnp.sum((x - mean) ** 2 / variance + jnp.log(2.0 * jnp.pi * variance), axis=-1)

    total = log_normal(chain[0], 0.0, 1.0)
    for x, new, t, u in zip(chain[:-1], chain[1:], field.grid[:-1], field.grid[1:], strict=True):
        beta = jnp.log(field.path.alpha(u) / field.path.alpha(t))
        score = -field.eps(x, jnp.full(s.shape[:1], t), s) / field.path.sigma(t)
        total = total + log_normal(new, x + beta * (x + 2.0 * score), 2.0 * beta)
        total = total - log_normal(x, (1.0 - beta) * new, 2.0 * beta)
    return total


def test_an_entropy_of_outputs_is_at_its_fixed_point():
    """The gradient of -sum m log p + c sum p log p in the logits vanishes there, and not at the law m itself."""
    m = jax.nn.softmax(jax.random.normal(jax.random.key(9), (4, ATOMS)))
    slope = jax.grad(lambda z: jnp.sum((0.05 * jax.nn.softmax(z) - m) * jax.nn.log_softmax(z)))
    np.testing.assert_allclose(slope(jnp.log(critics._rewarded(m, 0.05))), 0.0, atol=1e-6)
    assert np.abs(slope(jnp.log(m))).max() > 1e-3


def test_a_histogram_keeps_mass_and_mean():
    x, mass = jnp.array([0.13, 0.77, 0.5]), jnp.array([0.2, 0.5, 0.3])
    law = critics._histogram(x, mass, 0.0, 0.25, 5)
    np.testing.assert_allclose([law.sum(), law @ (0.25 * jnp.arange(5))], [1.0, x @ mass], rtol=1e-6)
