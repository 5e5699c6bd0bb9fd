"""Objects that chains end at, against the laboratory's own policies and against plain sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.certify import chain_oracles as chains
from flowrl_kb.certify import exact, presentation, resting, subject
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.kb.code import executable
from flowrl_kb.kb.load import load

KB = load()
SCENE, LINE = lab.scenario(2, 0.8, 0.6), lab.scenario(2, 0.8, 0.6, 1)
S = np.array([0.3, -0.6], np.float32)


@pytest.mark.parametrize("name", ["vp", "linear"])
def test_the_flow_is_that_of_the_laboratorys_policy(name):
    """Two ways to the same Euler steps: by expected actions and noises, and by the part that samples."""
    setting = presentation.Setting("field", name, "ode")
    path, law = presentation.lab_path(name), lab.law(SCENE, "current")
    z = jax.random.normal(jax.random.key(0), (32, 2))
    s = jnp.broadcast_to(S, (32, 2))
    got = chains.flowed(law, path, presentation.grid(name), z, s)
    np.testing.assert_allclose(got, presentation.policy(setting, law).from_noise(z, s), atol=2e-5)


@pytest.mark.parametrize("snr", [-1.0, 2.0])
def test_a_contrastive_energy_is_the_posterior_average_under_the_flow(snr):
    """Against actions of the flow weighted by the likelihood of the noisy one."""
    path, grid = presentation.lab_path("vp"), presentation.grid("vp")
    t, x = jnp.asarray(presentation._LEVEL_OF["vp"](jnp.asarray(snr))), jnp.array([[-1.2], [0.1], [1.2]])
    s = jnp.broadcast_to(S, (200_000, 2))
    noise = jax.random.normal(jax.random.key(1), (200_000, 1))
    a = np.asarray(chains.flowed(lab.law(LINE, "current"), path, grid, noise, s))
    q = np.asarray(lab.q_heads(LINE.critic)(s, jnp.asarray(a))).min(0)
    alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
    likely = np.exp(-0.5 * ((np.asarray(x) - alpha * a[:, 0]) / sigma) ** 2)
    expected = np.log(likely @ np.exp(q / 0.5) / likely.sum(1))
    got = chains.contrastive_energy(0.5, "critic", grid, LINE, path)(x, t, jnp.broadcast_to(S, (3, 2)))
    np.testing.assert_allclose(got, expected, atol=2e-2)
    assert np.ptp(expected) > 0.1, "a constant would pass as well"
    shared = chains.contrastive_energy(0.5, "critic", grid, LINE, path)(x[None], t, jnp.broadcast_to(S, (1, 3, 2)))
    np.testing.assert_allclose(shared[0], got, atol=1e-5)


def test_the_value_of_the_last_step_is_read_at_its_noise_free_end():
    path, grid = presentation.lab_path("vp"), presentation.grid("vp")
    x = 0.5 * jax.random.normal(jax.random.key(2), (16, 2))
    s, t = jnp.broadcast_to(S, x.shape), jnp.full(16, grid[-2])
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    eps, other = (lab.exact_eps(lab.law(SCENE, name), path)(x, t, s) for name in ("averaged", "behaviour"))
    q_1, q_2 = lab.q_heads(SCENE.target_critic)(s, (x - sigma * eps) / alpha)
    penalty = jnp.sum((eps - other) ** 2, axis=-1) / (2.0 * alpha[:, 0] ** 2)  # v = sigma^2 at the end of the chain
    expected = 0.5 * (q_1 + q_2) - 0.25 * jnp.abs(q_1 - q_2) - 0.5 * penalty
    got = chains.step_value(0.5, 0.5, 4, grid, SCENE, path)(s, x, t)
    np.testing.assert_allclose(got, np.broadcast_to(expected, got.shape), atol=1e-4)


def test_the_value_of_an_earlier_step_is_the_mean_over_its_draws():
    """Against many draws of the laboratory's own sampler, with the disagreement of two averages of four."""
    path, grid, n = presentation.lab_path("vp"), presentation.grid("vp"), 100_000
    shown = presentation.Setting("field", "vp", "forward-variance")
    x, k = jnp.array([0.4, -0.2]), 2
    field = presentation.policy(shown, lab.law(SCENE, "averaged"))
    mean, std = field.step(x[None], jnp.array([k]), jnp.asarray(S)[None])
    after = mean + std * jax.random.normal(jax.random.key(3), (n, 4, 2))
    s, level = jnp.broadcast_to(S, after.shape), jnp.full(after.shape[:-1], grid[k + 1])
    each = np.asarray(lab.step_heads(SCENE.target_critic, path)(s, after, level)).mean(-1)
    got = chains.step_value(0.0, 0.5, 4, grid, SCENE, path)
    many = got(jnp.broadcast_to(S, (4096, 2)), jnp.broadcast_to(x, (4096, 2)), jnp.full(4096, grid[k]))
    expected = each.mean() - 0.25 * np.abs(each[0] - each[1]).mean()
    np.testing.assert_allclose(np.asarray(many).mean(), expected, atol=2e-3)
    assert abs(expected - each.mean()) > 0.01, "the mean of heads would pass as well"


def test_the_value_of_roll_outs_is_the_mean_over_a_gaussian():
    shown = subject.setting(KB.nodes["ppo"])
    mean, log_std = presentation.policy(shown, lab.law(SCENE, "previous")).net(jnp.asarray(S))
    nodes, log_weight = exact.hermite(2)
    a = mean + jnp.exp(log_std) * nodes
    heads = lab.q_heads(SCENE.critic)(jnp.broadcast_to(S, a.shape), a)
    mean_of, least_of = (float(over(heads, axis=0) @ jnp.exp(log_weight)) for over in (jnp.mean, jnp.min))
    got = float(jnp.mean(chains.return_value(shown, SCENE, presentation.lab_path("vp"))(jnp.broadcast_to(S, (512, 2)))))
    np.testing.assert_allclose(got, mean_of, atol=1e-2)
    assert abs(mean_of - least_of) > 0.05, "the smaller head would pass as well"


def test_every_auxiliary_object_of_a_method_has_an_oracle():
    """But temperatures, which rest where their targets are met (test_temperatures.py)."""
    for node in executable(KB):
        asked = set(resting.trains(node)) - {"actor", "log_temperature"}
        assert asked <= {prediction.slot for prediction in resting.predictions(node)}, node.id
