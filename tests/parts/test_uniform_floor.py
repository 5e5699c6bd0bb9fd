"""A floor of uniform actions, and the choice of one candidate, by hand-computed numbers."""

import jax
import jax.numpy as jnp
import numpy as np

from flowrl_kb.parts import backup, operator, reference
from flowrl_kb.parts.types import Batch, Models

Q = jnp.array([[0.0, 1.0], [1.0, 1.0], [5.0, 1.0]])


def test_the_best_candidate_counts_what_it_exceeds_the_mean():
    w = operator.best_advantage().weights
    np.testing.assert_allclose(w(Q), [[0, 0], [0, 0], [3, 0]], atol=1e-6)
    np.testing.assert_allclose(w(2 * Q), 2 * w(Q), atol=1e-6)


def test_floor_actions_fill_the_box_whatever_the_policy():
    floor = reference.uniform_floor(floor_weight=0.02, floor_samples=4000, box=2.0)
    a = floor.floor(Models(), Batch(s=jnp.zeros((1, 1)), a=jnp.zeros((1, 2))), jax.random.key(0))
    assert a.shape == (4000, 1, 2)
    np.testing.assert_allclose(a.mean((0, 1)), 0.0, atol=0.1)
    np.testing.assert_allclose(a.var((0, 1)), 4.0 / 3.0, rtol=0.05)


def test_a_corner_floor_fills_the_positive_corner_alone():
    floor = reference.corner_floor(floor_weight=0.01, floor_samples=4000, box=2.0)
    a = floor.floor(Models(), Batch(s=jnp.zeros((1, 1)), a=jnp.zeros((1, 2))), jax.random.key(0))
    assert floor.floor_weight == 0.01 and bool(jnp.all((a >= 0.0) & (a <= 2.0)))
    np.testing.assert_allclose(a.mean((0, 1)), 1.0, atol=0.05)
    np.testing.assert_allclose(a.var((0, 1)), 1.0 / 3.0, rtol=0.05)


class _Drawn:
    """Next actions whose heads are [1, 4] and [3, 2]: each head prefers another one."""

    def heads(self, models, batch, key, n):
        return jnp.array([[[1.0], [4.0]], [[3.0], [2.0]]])

    over_heads = staticmethod(lambda heads: jnp.min(heads, axis=0))


def test_heads_that_disagree_choose_together_less_than_each_for_itself():
    args = Models(), Batch(s=jnp.zeros((1, 1)), a=jnp.zeros((1, 2))), jax.random.key(0)
    np.testing.assert_allclose(backup.selection(*args, following=_Drawn(), backup_of=2), [2.0])
    np.testing.assert_allclose(backup.rank(*args, following=_Drawn(), backup_of=2), [3.0])
