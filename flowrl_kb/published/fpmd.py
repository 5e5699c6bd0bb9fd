"""FPMD: One-Step Flow Policy Mirror Descent, Chen et al. 2025 (arXiv 2507.23675), in its rectified-flow form FPMD-R."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def actor_loss(models, batch, key, *, temperature, candidates):
    """Reweighted conditional flow matching for one mirror-descent step from the previous policy.

    L = E sum_k w_k |v_theta(x_k, t_k, s) - (z_k - a_k)|^2 with x_k = (1 - t_k) a_k + t_k z_k, a_k ~ pi_old(.|s),
    z_k ~ N(0, I), t_k uniform, w = softmax_k min_i Q_i(s, a_k) / lambda, an estimate of exp(Q / lambda) / Z(s).
    The paper's time runs from noise to data. batch.s (B, ds); candidates = number of a_k for each state.
    Source: the mirror-descent step, with the flow matching of relax/utils/flow.py, OTFlow.weighted_p_loss.
    """
    k_old, k_noise, k_time = jax.random.split(key, 3)
    a = models.old.sample(k_old, batch.s, (candidates,))
    z = jax.random.normal(k_noise, a.shape)
    t = models.actor.path.sample_t(k_time, a.shape[:-1])
    s = jnp.broadcast_to(batch.s, (*a.shape[:-1], batch.s.shape[-1]))
    difference = models.actor.velocity(a + t[..., None] * (z - a), t, s) - (z - a)
    energy = models.critic(s, a).min(axis=0) / temperature
    w = jax.lax.stop_gradient(jnp.exp(energy - jax.nn.logsumexp(energy, axis=0)))
    return jnp.einsum("kb,kbd->b", w, difference**2).mean(), {"largest_weight": jnp.mean(w.max(axis=0))}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma min_i Qbar_i(s', a'), a' one action of the policy; no entropy term.

    Source: relax/algorithm/rf.py, without the selection and the noise of its next action.
    """
    a = models.actor.sample(key, batch.next_s)
    target = batch.reward + discount * batch.not_done * models.target_critic(batch.next_s, a).min(axis=0)
    first, second = models.critic(batch.s, batch.a) - jax.lax.stop_gradient(target)
    return jnp.mean(first**2) + jnp.mean(second**2), {"error": jnp.mean(jnp.abs(first))}


def act(models, s, key, *, acting_steps):
    """The end of `acting_steps` equal Euler steps of the flow; a single one is z - t v_theta(z, t, s), t the noisiest.

    Source: abstract (one step at inference); relax/utils/flow.py, OTFlow.p_sample.
    """
    x = jax.random.normal(key, (*s.shape[:-1], models.actor.dim))
    width = models.actor.grid[0] / acting_steps
    for left in range(acting_steps, 0, -1):
        x = x - width * models.actor.velocity(x, jnp.full(x.shape[:-1], left * width), s)
    box = models.actor.box
    return x if box is None else jnp.clip(x, -box, box)
