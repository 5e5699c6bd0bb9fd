"""The laboratory's exact objects against quadrature and samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import presentation, subject
from flowrl_kb.certify.features import cosine
from flowrl_kb.kb.load import load
from flowrl_kb.published import dacer_flow_rl, dpmd_flow_rl, dppo_flow_rl, fpo, fpopp, gempo_flow_rl

KB = load()
SCENE = lab.scenario(1, 0.5, 1.0)


@pytest.mark.parametrize("t", [0.15, 0.5, 0.8])
def test_the_exact_noise_field_is_the_posterior_mean_by_quadrature(t):
    mixture, path = lab.law(SCENE, "behaviour"), presentation.lab_path("vp")
    s, x = jnp.array([0.3, -0.6]), jnp.array([0.4, -0.2])
    axis = np.linspace(-3.5, 3.5, 701)
    a = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    centres, std = np.asarray(lab.means(mixture, s)), np.asarray(mixture.std)
    density = sum(
        np.exp(float(lw)) * np.exp(-((a - c) ** 2).sum(1) / (2 * v**2)) / v**2
        for lw, c, v in zip(mixture.log_weight, centres, std, strict=True)
    )
    alpha, sigma = float(path.alpha(jnp.array(t))), float(path.sigma(jnp.array(t)))
    eps = (np.asarray(x) - alpha * a) / sigma
    weight = density * np.exp(-0.5 * (eps**2).sum(1))
    want = (weight[:, None] * eps).sum(0) / weight.sum()
    got = lab.exact_eps(mixture, path)(x, jnp.array(t), s)
    np.testing.assert_allclose(got, want, atol=2e-3)


def test_the_cosine_of_the_features_is_the_cosine():
    turns = np.linspace(-6.0, 6.0, 4001)
    found = cosine(jnp.asarray(turns, jnp.float32))
    np.testing.assert_allclose(found, np.cos(2.0 * np.pi * turns), atol=3e-6)
    slopes = jax.vmap(jax.grad(cosine))(jnp.asarray(turns + 1e-3, jnp.float32))
    np.testing.assert_allclose(slopes, -2.0 * np.pi * np.sin(2.0 * np.pi * (turns + 1e-3)), atol=3e-5)


def test_draws_follow_the_mixture():
    mixture = lab.law(SCENE, "previous")
    s = jnp.broadcast_to(jnp.array([0.5, 0.1]), (40_000, 2))
    a = lab.draw(mixture, jax.random.PRNGKey(0), s)
    want = jnp.exp(mixture.log_weight) @ lab.means(mixture, s[0])
    np.testing.assert_allclose(a.mean(0), want, atol=0.02)


def test_online_and_target_critics_and_their_heads_disagree():
    s, a = jax.random.uniform(jax.random.PRNGKey(0), (2, 500, 2), minval=-1, maxval=1)
    online, target = lab.q_heads(SCENE.critic)(s, a), lab.q_heads(SCENE.target_critic)(s, a)
    assert float(jnp.abs(online[0] - online[1]).mean()) > 0.1
    assert float(jnp.abs(online - target).mean()) > 0.1


@pytest.mark.parametrize("method", ["dppo", "fpo", "ppo"])
def test_drifted_scenarios_have_samples_inside_and_outside_the_clip(method):
    """20 to 80 % of the ratios must be clipped in some scenario, else only the previous policy is tested."""
    node = KB.nodes[method]
    shown = subject.setting(node)
    likelihood = compose.bind(
        compose.part("likelihood", node["likelihood"]), {**subject.laboratory_hyper(node), "loss_space": "eps"}
    )

    def share(scene):
        batch = presentation.batch(shown, scene, jax.random.PRNGKey(0), 512)
        ratio = jnp.exp(likelihood(presentation.models(shown, scene, {}), batch))
        return jnp.mean(jnp.abs(ratio - 1) > subject.laboratory_hyper(node)["clip"])

    shares = jax.vmap(share)(lab.drifted())
    assert bool(((shares > 0.2) & (shares < 0.8)).any()), shares


def test_at_old_the_previous_policy_is_the_current_one():
    for index in range(3):
        scene = jax.tree.map(lambda a, i=index: a[i], lab.at_old())
        for a, b in zip(lab.law(scene, "previous"), lab.law(scene, "current"), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", ["vp", "linear", "ve"])
def test_every_path_draws_the_same_law_of_log_snr(name):
    path, key = presentation.lab_path(name), jax.random.key(3)
    t = path.sample_t(key, (2000,))
    drawn = 2.0 * (jnp.log(path.alpha(t)) - jnp.log(path.sigma(t)))
    low, high = presentation.LOG_SNR
    np.testing.assert_allclose(drawn, jax.random.uniform(key, (2000,), minval=low, maxval=high), atol=2e-3)


def test_scenarios_can_be_drawn_again():
    for first, second in zip(
        jax.tree.leaves(lab.scenario(5, 0.5, 1.0)), jax.tree.leaves(lab.scenario(5, 0.5, 1.0)), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(lab.scenario(5, 0.5, 1.0).laws.mean, lab.scenario(6, 0.5, 1.0).laws.mean)


def test_weights_at_temperature_one_half_keep_a_twentieth_of_the_samples():
    def share(scene):
        s = jnp.zeros((4000, 2))
        a = lab.draw(lab.law(scene, "current"), jax.random.key(4), s)
        w = jax.nn.softmax(jnp.min(lab.q_heads(scene.critic)(s, a), axis=0) / 0.5)
        return 1.0 / jnp.sum(w**2) / len(a)

    assert float(jax.vmap(share)(lab.drifted()).min()) >= 0.05


SCENES = [jax.tree.map(lambda a, i=i: a[i], lab.drifted()) for i in range(3)]


@pytest.mark.parametrize("scene", SCENES)
def test_a_fifth_to_four_fifths_of_the_values_lie_outside_the_value_clip(scene):
    shown = subject.setting(KB.nodes["ppo:flow-rl"])
    models = presentation.models(shown, scene, {})
    s = presentation.batch(shown, scene, jax.random.key(0), 4096).s
    share = jnp.mean(jnp.abs(models.value(s) - models.target_value(s)) > subject.HYPER["value_clip"])
    assert 0.2 < float(share) < 0.8


@pytest.mark.parametrize("scene", SCENES)
def test_bounds_of_step_densities_cut_tails_below_and_much_of_the_last_step_above(scene):
    """Of the current policy; the previous one has its greatest density in every last step that it drew."""
    node = KB.nodes["dppo:flow-rl"]
    shown, (low, high) = subject.setting(node), subject.laboratory_hyper(node)["log_prob_clamp"]
    models, batch = presentation.models(shown, scene, {}), presentation.batch(shown, scene, jax.random.key(0), 4096)
    found = dppo_flow_rl.log_likelihood(models.actor, batch.chain, batch.s, (-jnp.inf, jnp.inf))
    assert float(jnp.mean(found[:-1] < low)) > 0.1 and float(jnp.mean(found[-1] > high)) > 0.3


@pytest.mark.parametrize("scene", SCENES)
def test_a_fifth_to_four_fifths_of_the_errors_of_a_gaussian_critic_and_of_their_weights_are_cut(scene):
    node = KB.nodes["dacer:flow-rl"]
    shown, hyper = subject.setting(node), subject.laboratory_hyper(node)
    models, batch = presentation.models(shown, scene, {}), presentation.batch(shown, scene, jax.random.key(0), 4096)
    following = dacer_flow_rl.executed(models, batch.next_s, jax.random.key(1), hyper["backup_noise_std"], None)
    value = jnp.min(models.target_critic(batch.next_s, following), axis=0)
    errors = models.critic(batch.s, batch.a) - batch.reward - hyper["discount"] * batch.not_done * value
    assert 0.2 < float(jnp.mean(jnp.abs(errors) > hyper["huber_width"])) < 0.8
    typical = jnp.mean(models.target_spread(batch.s, batch.a))
    ratio = typical**2 / (models.spread(batch.s, batch.a) ** 2 + hyper["spread_bias"])
    low, high = hyper["spread_ratio"]
    assert 0.2 < float(jnp.mean((ratio < low) | (ratio > high))) < 0.8


@pytest.mark.parametrize("scene", SCENES)
def test_cuts_of_denoising_losses_and_of_their_drops_bind_for_a_fifth_to_four_fifths(scene):
    """The losses of the official FPO++, and the drops of FPO with a ratio for each pair, of both policies."""

    def losses(id, loss):
        node = KB.nodes[id]
        shown, hyper = subject.setting(node), subject.laboratory_hyper(node)
        models, batch = presentation.models(shown, scene, {}), presentation.batch(shown, scene, jax.random.key(0), 4096)
        of = (batch.s, batch.a, batch.pair_t, batch.pair_eps)
        extra = (hyper["log_prob_reduction"],) if "log_prob_reduction" in hyper else ()
        return [loss(field, *of, *extra) for field in (models.old, models.actor)]

    for found in losses("fpopp:official", fpopp.cfm_loss):
        assert 0.2 < float(jnp.mean(found > subject.HYPER["cfm_loss_max"])) < 0.8
    old, new = losses("fpo:per-sample", fpo.flow_matching_loss)
    assert 0.2 < float(jnp.mean(jnp.abs(old - new) > subject.HYPER["log_ratio_clip"])) < 0.8


@pytest.mark.parametrize("scene", SCENES)
def test_a_fifth_to_four_fifths_of_the_squared_errors_lie_above_their_cut(scene):
    shown = subject.setting(KB.nodes["dpmd:flow-rl"])
    models, batch = presentation.models(shown, scene, {}), presentation.batch(shown, scene, jax.random.key(0), 1024)
    hyper = {"candidate_noise_std": subject.HYPER["candidate_noise_std"], "error_max": subject.HYPER["error_max"]}
    share = dpmd_flow_rl.actor_loss(models, batch, jax.random.key(1), candidates=8, **hyper)[1]["cut"]
    assert 0.2 < float(share) < 0.8


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("published", [dpmd_flow_rl, gempo_flow_rl])
def test_weights_diverge_by_more_than_their_target(published, scene):
    """Where they just meet it, the update is a small difference, and its noise moves the scale that is fitted."""
    shown = subject.setting(KB.nodes["dpmd:flow-rl"])
    models, batch = presentation.models(shown, scene, {}), presentation.batch(shown, scene, jax.random.key(0), 1024)
    hyper = {name: subject.HYPER[name] for name in ("candidates", "candidate_noise_std", "target_kl")}
    entropy = published.log_temperature_loss(models, batch, jax.random.key(1), **hyper)[1]["entropy"]
    divergence = np.log(hyper["candidates"]) - float(entropy)
    assert 2.0 * hyper["target_kl"] < divergence < 0.5 * np.log(hyper["candidates"])
