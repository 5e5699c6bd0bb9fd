"""The audit: binding by name, the compact comparison, reports and mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowrl_kb
from flowrl_kb import compose
from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import moments, presentation
from flowrl_kb.certify.audit import atlas, catalogue, command, foreign, worker
from flowrl_kb.certify.audit.adapt import Convention, World, bind, inspect_loss
from flowrl_kb.certify.audit.card import draft, placed
from flowrl_kb.certify.audit.match import OPPOSITE, OPPOSITE_WEIGHT, SCALE, WEIGHT, best
from flowrl_kb.certify.compare import compare, references
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.errors import UserError
from flowrl_kb.published import sdac

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ROWS = 4


@pytest.fixture(scope="module")
def kb():
    return flowrl_kb.load()


def sample(seed, factor, noise=0.3, n=400):
    """Replicates (3 scenarios, n, 12 blocks, 6) around one fixed mean, times `factor` by block."""
    mean = np.random.default_rng(0).normal(size=(3, 1, 12, 6)) * np.reshape(factor, (-1, 1))
    return moments.of(mean + noise * np.random.default_rng(seed).normal(size=(3, n, 12, 6)))


WEIGHTS = np.tile([0.5, 1.0, 2.0, 3.0], 3)


@pytest.mark.parametrize(
    "factor, verdict, transformation",
    [
        (2.0, "equal", SCALE),
        (-0.5, "equal", OPPOSITE),
        (WEIGHTS, "equal", WEIGHT),
        (-WEIGHTS, "equal", OPPOSITE_WEIGHT),
        (1.0 + 0.5 * (np.arange(12) % 5), "different", None),
    ],
)
def test_a_known_factor_is_found_and_undone(factor, verdict, transformation):
    p, c = sample(1, 1.0, 0.1, 4000), atlas.compact(sample(2, factor, 0.1, 4000))
    found = best(p, c, ROWS)
    assert found.verdict == verdict
    if transformation:
        assert found.transformation == transformation
        want = 1.0 / np.broadcast_to(factor, 12)[: len(found.scale)]
        np.testing.assert_allclose(found.scale, want, rtol=0.02)
        assert found.matched == 1.0 and found.different == 0.0


def test_the_compact_bound_is_never_below_the_exact_one():
    """Exact: the comparison on full covariances. The compact one only knows three figures of the second."""
    p, c = sample(1, 1.0, 1.0), sample(2, 1.0, 1.0)
    reference, _ = references(p, ROWS)
    exact, small = compare(p, c, rows=ROWS), best(p, atlas.compact(c), ROWS)
    assert small.bound >= exact.bound > 0 and reference.shape == (3, 12)
    assert small.bound < 1.5 * exact.bound  # both covariances have one shape here, so that little is lost


def test_equal_updates_are_not_called_different_and_a_tenth_is():
    verdicts = [best(sample(2 * i, 1.0), atlas.compact(sample(2 * i + 1, 1.0)), ROWS).verdict for i in range(40)]
    assert "different" not in verdicts
    tilted = 1.0 + 0.1 * np.repeat([0, 1, 2], 4)  # differs between sets of features, which no weight undoes
    assert best(sample(1, 1.0, 0.1, 4000), atlas.compact(sample(2, tilted, 0.1, 4000)), ROWS).verdict == "different"


def test_the_atlas_survives_a_round_trip(tmp_path):
    row = atlas.compact(sample(1, 1.0), "program")
    atlas.write(tmp_path / "atlas.npz", {"ab": row, "cd": None})
    back = atlas.read(tmp_path / "atlas.npz")
    assert back["cd"] is None and back["ab"].n == 400
    for field in ("mean", "trace", "square", "top"):
        np.testing.assert_allclose(getattr(back["ab"], field), getattr(row, field), rtol=1e-6)


def gradient(loss, size=64):
    """One small gradient of a loss in theta, on the first drifted scenario."""
    from flowrl_kb.certify.features import Perturbation, shape

    setting = Setting("field")
    scene = jax.tree.map(lambda leaf: leaf[0], lab.drifted())
    batch = presentation.batch(setting, scene, jax.random.key(1), size)

    def value(theta):
        return loss(presentation.models(setting, scene, {"actor": Perturbation(theta)}), batch, jax.random.key(2))[0]

    return np.asarray(jax.grad(value)(jnp.zeros(shape(setting.policy, 2))))


def module(name):
    from flowrl_kb.certify.audit.worker import load_file

    return load_file(EXAMPLES / name)


def test_a_loss_of_our_interface_and_one_of_callables_bind_the_same_things(kb):
    def ours(models, batch, key, *, temperature):
        return jnp.mean(models.actor.eps(batch.a, jnp.full(len(batch.a), 0.5), batch.s)) * temperature

    def theirs(eps_fn, actions, obs, temperature):
        return jnp.mean(eps_fn(actions, jnp.full((len(actions), 1), 0.5), obs)) * temperature

    first, second = (gradient(bind(kb, fn, "field", {}).loss(Convention())) for fn in (ours, theirs))
    np.testing.assert_allclose(first, second, rtol=1e-6)
    assert np.abs(first).max() > 0
    assert bind(kb, ours, "field", {}).hyper == {"temperature": 0.5}
    assert bind(kb, ours, "field", {"temperature": 2.0}).hyper == {"temperature": 2.0}


def test_conventions_turn_time_and_velocity_round(kb):
    """On the straight path with time from noise to data, x = t a + (1 - t) eps has velocity a - eps."""
    setting = Setting("field", "linear")
    scene = jax.tree.map(lambda leaf: leaf[0], lab.drifted())
    models = presentation.models(setting, scene, {})
    batch = presentation.batch(setting, scene, jax.random.key(0), 16)
    world = World(models, batch, jax.random.key(1), Convention(flip_t=True))
    t = world.t
    np.testing.assert_allclose(world.x_t, t[:, None] * batch.a + (1 - t)[:, None] * world.noise, rtol=1e-5, atol=1e-6)
    x0, eps = (world.field("actor", name)(world.x_t, t, batch.s) for name in ("x0", "eps"))
    np.testing.assert_allclose(world.field("actor", "velocity")(world.x_t, t, batch.s), x0 - eps, rtol=1e-3, atol=1e-3)
    turned = World(models, batch, jax.random.key(1), Convention(flip_q=True))
    np.testing.assert_allclose(turned.smallest("critic")(batch.s, batch.a), -world.smallest("critic")(batch.s, batch.a))


def test_the_kind_of_actions_follows_from_what_is_read(kb):
    assert inspect_loss(bind(kb, module("flax_loss.py").loss, "field", {}), Setting("field")) == {"advantage"}
    assert not inspect_loss(bind(kb, module("my_sdac.py").loss, "field", {}), Setting("field"))

    def fpo_like(models, batch, key):
        return jnp.mean(models.actor.eps(batch.a, batch.pair_t[0], batch.s) ** 2)

    assert "pair_t" in inspect_loss(bind(kb, fpo_like, "field", {}), Setting("field"))


def raises(eps_fn, s, a, t):
    raise KeyError("weights")


def vector(eps_fn, s, a, t):
    return jnp.sum(eps_fn(a, t, s) ** 2, axis=-1)


def integer(eps_fn, s, a, t):
    return jnp.sum(eps_fn(a, t, s) > 0)


def concrete(eps_fn, s, a, t):
    return np.mean(np.asarray(eps_fn(a, t, s)))


def nothing(eps_fn, s, a, t):
    eps_fn(a, t, s)


@pytest.mark.parametrize(
    "loss, said",
    [
        (raises, "KeyError: 'weights'"),
        (vector, "shape (8,), expected a scalar"),
        (integer, "int32, which is not differentiable"),
        (concrete, "TracerArrayConversionError"),
        (nothing, "NoneType, expected a scalar"),
    ],
)
def test_a_wrong_loss_gets_one_line(kb, loss, said):
    with pytest.raises(UserError) as caught:
        inspect_loss(bind(kb, loss, "field", {}), Setting("field"))
    assert said in str(caught.value) and len(caught.value.lines) == 1 and "\n" not in str(caught.value)
    if loss in (raises, concrete):
        line = loss.__code__.co_firstlineno + 1
        assert f"test_audit.py:{line}, in {loss.__name__}" in str(caught.value)


def test_unknown_parameters_name_the_nearest(kb):
    with pytest.raises(UserError, match="did you mean eps_fn"):
        bind(kb, lambda eps_fnn: 0.0, "field", {})
    with pytest.raises(UserError, match="unknown policy 'feild'; did you mean field"):
        flowrl_kb.audit(vector, policy="feild")
    with pytest.raises(UserError, match="has no value; --set alpha=VALUE"):
        bind(kb, lambda alpha: 0.0, "field", {})


def test_a_foreign_gradient_is_the_gradient():
    """A NumPy loss with its gradient by hand, against jax's gradient of the same loss, under vmap and jit."""

    def by_hand(prediction, noise):
        return np.mean((prediction - noise) ** 2), 2.0 * (prediction - noise) / prediction.size

    loss = foreign.from_gradient(by_hand)
    x, noise = jax.random.normal(jax.random.key(0), (2, 3, 5, 2))
    got = jax.jit(jax.vmap(jax.grad(lambda x, n: loss(jnp.sin(x), n))))(x, noise)
    want = jax.vmap(jax.grad(lambda x, n: jnp.mean((jnp.sin(x) - n) ** 2)))(x, noise)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_the_pytorch_example_is_denoising(kb):
    pytest.importorskip("torch", reason="torch is not installed")
    got = gradient(bind(kb, module("torch_loss.py").loss, "field", {}).loss(Convention()))
    want = gradient(
        bind(kb, lambda eps_fn, x_t, t, s, eps: jnp.mean((eps_fn(x_t, t, s) - eps) ** 2), "field", {}).loss(
            Convention()
        )
    )
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_a_draft_is_a_card_with_the_coordinates_that_all_matches_share(kb, tmp_path):
    cell, other = dict(kb.nodes["sdac"].coordinates), dict(kb.nodes["idem"].coordinates)
    text = draft(kb, "field", "vp", [cell])
    assert "operator: {value: exponential, status: derived, evidence: audit}" in text
    both = draft(kb, "field", "vp", [cell, other])
    assert "route: {value: unknown}" in both and "direction: {value: reverse, status: derived" in both
    assert "operator: {value: unknown}" in draft(kb, "field", "vp", [])
    file = tmp_path / "draft.yaml"
    file.write_text(text)
    from flowrl_kb.certify.audit import card
    from flowrl_kb.kb.schema import Card
    from flowrl_kb.kb.source import read

    assert Card.model_validate(read(file).data).coordinates["route"].status == "derived"
    found = placed(kb, card.read(kb, file))
    assert found["same_cell"] == ["sdac"] and not found["violations"]
    assert {"stein-identity"} <= {row["rule"] for row in found["proved"] if row["method"] == "idem"}


def test_a_broken_draft_is_told_what_it_breaks(kb):
    found = placed(kb, {**kb.nodes["sdac"].coordinates, "reference": "none"})
    assert "none-argmax" in {row["id"] for row in found["violations"]} and not found["same_cell"]


def test_what_a_loss_is_compared_with_trains_the_same_kind_of_actor(kb):
    found = {entry.name: compose.of_node(entry.node, hyper=entry.hyper) for entry in catalogue.methods(kb, "field")}
    assert "reinflow" in kb.nodes and "reinflow" not in found  # it trains the noise of its steps as well
    assert {method.trains["actor"] for method in found.values()} == {"field"}


def test_points_break_no_constraint_and_include_every_method_that_runs(kb):
    from flowrl_kb.kb.cells import violations

    found = list(catalogue.points(kb, "deterministic"))
    assert found and not any(violations(kb, cell) for cell in found)
    axes = [axis.id for axis in kb.actor_axes]
    assert tuple(kb.nodes["td3bc"][a] for a in axes) in {tuple(cell[a] for a in axes) for cell in found}


def run(*arguments, **kwargs):
    command_line = [sys.executable, "-m", "flowrl_kb", "audit", *arguments]
    return subprocess.run(command_line, capture_output=True, text=True, cwd=EXAMPLES.parent, timeout=600, **kwargs)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("nope.py:loss",), "found no file nope.py, expected FILE.py:FUNCTION"),
        (("examples/my_sdac.py:los",), "unknown function of examples/my_sdac.py 'los'; did you mean loss?"),
        (("examples/my_sdac.py", "--policy", "feild"), "unknown policy 'feild'; did you mean field?"),
        (("examples/my_sdac.py", "--card-out", "README.md"), "README.md exists; nothing was written"),
        (("--card", "mkdocs.yml"), "mkdocs.yml: found no coordinates"),
        ((), "expected a loss FILE.py:FUNCTION or --card FILE"),
    ],
)
def test_bad_input_gets_one_line_and_exit_2(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2 and not done.stdout
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_command_and_card_audits_never_import_jax():
    code = (
        "import sys; from flowrl_kb.cli import main\n"
        "try: main(['audit', '--card', 'methods/sdac.yaml'])\n"
        "except SystemExit as e: assert not e.code\n"
        "assert 'jax' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=EXAMPLES.parent)
    assert done.returncode == 0, done.stderr
    assert "same cell: sdac" in done.stdout


def test_the_function_is_found_without_executing_the_file(tmp_path):
    file = tmp_path / "noisy.py"
    file.write_text("raise SystemExit(7)\ndef loss(s): return 0.0\n")
    assert command._named(f"{file}:loss") == (file, "loss")


def test_a_file_that_does_not_load_is_told_its_line(tmp_path, monkeypatch):
    (tmp_path / "divided.py").write_text("import math\nmath.log(0.0)\ndef loss(s): return 0.0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"divided\.py:2: ValueError: "):
        worker.load_file(Path("divided.py"))


def audited(name, **options):
    return flowrl_kb.audit(module(name).loss, **options)


@pytest.mark.slow
def test_a_disguised_sdac_is_recognised():
    report = audited("my_sdac.py")
    assert report.levels["same-update"][0] == report.levels["same-loss"][0] == "sdac"
    assert "the same loss: with the same random draws" in str(report)
    assert "novel" not in str(report) and json.loads(report.json())["matches"][0]["name"] == "sdac"


@pytest.mark.slow
def test_a_flipped_sign_of_q_is_named():
    report = audited("my_broken.py")
    assert not report.levels["same-update"] and not report.levels["same-loss"] and "sign of Q" in report.convention
    assert report.matches[0]["name"] == "qsm"


@pytest.mark.slow
def test_a_variant_is_a_cell_that_no_card_fills():
    report = audited("my_variant.py")
    assert report.levels["same-update"] == ["sdac with operator=linear"]
    assert report.matches[0]["kind"] == "cell" and report.nearest["method"] == "sdac"
    assert report.nearest["differs"] == {"operator": ["linear", "exponential"]}


@pytest.mark.slow
def test_losses_without_a_gradient_or_a_number_are_refused():
    with pytest.raises(UserError, match="does not depend on the policy"):
        flowrl_kb.audit(lambda eps_fn, q_fn, s, a: jnp.mean(q_fn(s, a)), looks=(64,))
    with pytest.raises(UserError, match="NaN or infinite"):
        flowrl_kb.audit(lambda eps_fn, s, a, t: jnp.mean(eps_fn(a, t, s)) * jnp.nan, looks=(64,))


@pytest.mark.slow
def test_the_published_loss_itself_is_its_own_match():
    def loss(models, batch, key, *, temperature, candidates):
        return sdac.actor_loss(models, batch, key, temperature=temperature, candidates=candidates)

    assert flowrl_kb.audit(loss).levels["same-loss"][0] == "sdac"
