"""DriftPO: the drifting policy of flow-rl (code only, no paper found), after the drifting models of Deng et al. 2026
(arXiv 2602.04770)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "map", "critic": "critic"}
TINY = 1e-8


def clip(a, box):
    """Actions clipped to the box of half-width `box`, if there is one."""
    return a if box is None else jnp.minimum(jnp.maximum(a, -box), box)


def repulsion(a, others, bandwidth_min):
    """Mean shift of a (B, d) towards the kernel-weighted mean of `others` (n, B, d), and the squared bandwidth (B, 1).

    V- = sum_j k_j (a_j - a) / sum_j k_j, k_j = exp(-|a_j - a|^2 / 2h),
    h = max(median_j |a_j - a|^2 / (2 log(n + 1)), bandwidth_min).
    Source: flow-rl flowrl/agent/online/driftpo.py, bandwidth_mode median.
    """
    gap = others - a
    distance = jnp.sum(gap**2, axis=-1, keepdims=True)
    h = jnp.maximum(jnp.median(distance, axis=0) / (2.0 * jnp.log(len(others) + 1.0)), bandwidth_min)
    k = jnp.exp(-distance / (2.0 * h))
    return jnp.sum(k * gap, axis=0) / (jnp.sum(k, axis=0) + TINY), h


def attraction(critic, s, a, shift, temperature):
    """Along the slope of the mean head at a (B, d), 1 / temperature times as long as the mean shift (B, d).

    V+ = c |V-| grad Q / |grad Q|, c = 1 / temperature. Source: flow-rl driftpo.py, opt_method first, temp_mode balance,
    c = pos_strength.
    """
    slope = jax.vmap(jax.grad(lambda a, s: jnp.mean(critic(s, a))))(a, s)
    length = jnp.linalg.norm(shift, axis=-1, keepdims=True)
    return length / temperature * slope / (jnp.linalg.norm(slope, axis=-1, keepdims=True) + TINY)


def actor_loss(models, batch, key, *, temperature, entropy_samples, bandwidth_min, step_max, box=None):
    """Every generated action is fitted to where a bounded step of its drift takes it.

    L = E |a - sg[clip(a + V)]|^2 / d, V = min(1, step_max / |V+ - V-|) (V+ - V-), a = f(s, z) clipped with the gradient
    of the identity; `entropy_samples` further actions of f repel it. Source: flow-rl driftpo.py, actor_loss_fn with
    drift_scale 1. batch.s (B, ds) are replayed states.
    """
    k_own, k_others = jax.random.split(key)
    raw = models.actor(batch.s, jax.random.normal(k_own, batch.a.shape))
    a = raw + jax.lax.stop_gradient(clip(raw, box) - raw)
    z = jax.random.normal(k_others, (entropy_samples, *batch.a.shape))
    others = clip(models.actor(jnp.broadcast_to(batch.s, (entropy_samples, *batch.s.shape)), z), box)
    here, others = jax.lax.stop_gradient((a, others))
    shift, _ = repulsion(here, others, bandwidth_min)
    v = attraction(models.critic, batch.s, here, shift, temperature) - shift
    length = jnp.linalg.norm(v, axis=-1, keepdims=True)
    v = v * jnp.minimum(1.0, step_max / (length + TINY))
    target = jax.lax.stop_gradient(clip(here + v, box))
    return jnp.mean((a - target) ** 2), {"step": jnp.mean(length)}


def critic_loss(models, batch, key, *, discount, box=None):
    """Every head regressed on r + gamma min(Qbar_i(s', a'), Qbar_j(s', a')), i and j two random heads.

    a' one clipped action of the policy. Source: flow-rl driftpo.py, jit_update_driftpo. batch.a (B, d).
    """
    k_action, k_pair = jax.random.split(key)
    next_a = clip(models.actor(batch.next_s, jax.random.normal(k_action, batch.a.shape)), box)
    heads = models.target_critic(batch.next_s, next_a)
    pair = heads[jax.random.permutation(k_pair, len(heads))[:2]]
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * jnp.min(pair, axis=0))
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {}


def act(models, s, key, *, box=None):
    """One clipped action. Source: flow-rl driftpo.py, sample_actions while collecting."""
    return clip(models.actor(s, jax.random.normal(key, (*s.shape[:-1], models.actor.dim))), box)
