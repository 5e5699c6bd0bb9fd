"""Programs and the memory of fingerprints: what is computed names them, not how it is written."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowrl_kb.certify import fingerprint, laboratory
from flowrl_kb.certify.fingerprint import Fingerprint, fill
from flowrl_kb.certify.program import CHUNK, Program

SCENES = laboratory.drifted()


def program(factor: float) -> Program:
    return Program(lambda: lambda scene, key: factor * jax.random.normal(key, (2, 3)), SCENES)


@pytest.fixture
def memory(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWRL_KB_CACHE", str(tmp_path))
    return tmp_path


def test_the_hash_follows_the_computation_and_not_the_names():
    def renamed(scene, key_of_this_replicate):
        drawn = jax.random.normal(key_of_this_replicate, (2, 3))
        return 2.0 * drawn

    assert program(2.0).hash == Program(lambda: renamed, SCENES).hash
    assert program(2.0).hash != program(2.5).hash


def test_the_hash_knows_which_of_two_equal_shapes_is_read():
    """A critic and its target are two arguments of one shape; without the unread one the texts would be the same."""
    online, target = (
        Program(lambda name=name: lambda scene, key: jnp.sum(getattr(scene, name).height) * jnp.ones((1, 1)), SCENES)
        for name in ("critic", "target_critic")
    )
    assert online.hash != target.hash


def test_a_link_that_points_to_another_program_is_mended_before_anything_is_added(memory):
    honest = Fingerprint(program(1.0), SCENES, "published", "honest")
    honest.take(1)
    (memory / "links" / "stale").write_text(honest.identity)
    changed = Fingerprint(program(3.0), SCENES, "published", "stale").take(2 * CHUNK)
    alone = Fingerprint(program(3.0), SCENES, "published", "alone").take(2 * CHUNK)
    np.testing.assert_array_equal(changed.mean, alone.mean)
    assert Fingerprint(program(1.0), SCENES, "published", "honest").take(1).n == CHUNK


def test_changed_code_that_computes_the_same_finds_the_old_moments(memory):
    old = Fingerprint(program(2.0), SCENES, "published", "made-by-old-code").take(CHUNK)
    new = Fingerprint(program(2.0), SCENES, "published", "made-by-new-code")
    again = new.take(1)
    np.testing.assert_array_equal(old.mean, again.mean)
    assert new.program._compiled is None  # found on disk, so that nothing was compiled
    other = Fingerprint(program(2.5), SCENES, "published", "made-by-other-code").take(CHUNK)
    assert not np.allclose(old.mean, other.mean)


def test_a_link_finds_moments_without_tracing(memory):
    def never():
        raise AssertionError("traced")

    Fingerprint(program(1.0), SCENES, "published", "link").take(1)
    found = Fingerprint(Program(never, SCENES), SCENES, "published", "link")
    assert found.remembered().n == CHUNK
    assert Fingerprint(Program(never, SCENES), SCENES, "published", "another link").remembered() is None


def test_two_streams_of_one_program_are_independent(memory):
    a, b = (Fingerprint(program(1.0), SCENES, stream, stream).take(CHUNK) for stream in ("published", "composed"))
    assert not np.allclose(a.mean, b.mean)


def test_growing_continues_the_stream(memory):
    at_once = Fingerprint(program(1.0), SCENES, "a stream").take(2 * CHUNK)
    grown = Fingerprint(program(1.0), SCENES, "a stream")
    grown.take(CHUNK)
    np.testing.assert_allclose(grown.take(2 * CHUNK).mean, at_once.mean, rtol=1e-6)


def test_filling_leaves_what_is_not_finite_to_its_reader(memory):
    broken = Fingerprint(Program(lambda: lambda scene, key: jnp.full((1, 1), jnp.nan), SCENES), SCENES, "broken")
    good = Fingerprint(program(1.0), SCENES, "good")
    fill([broken, good], CHUNK)
    assert good.take(1).n == CHUNK
    with pytest.raises(FloatingPointError, match="not finite"):
        broken.take(1)
    assert fingerprint.memory() == memory
