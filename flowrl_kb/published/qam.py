"""QAM: Q-learning with Adjoint Matching, Li and Levine 2026 (arXiv 2601.14234).

Times are the paper's, from noise at tau = 0 to data at tau = 1; `_v` reads a field there.
"""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "behaviour": "field", "critic": "critic"}


def _v(field, x, tau, s):
    """The velocity towards data at time tau; x (B, d), s (B, ds)."""
    return -field.velocity(x, jnp.full(x.shape[:-1], 1.0 - tau), s)


def behaviour_loss(models, batch, key):
    """Flow matching on data actions: E |v(x_tau, tau, s) - (a - z)|^2 / d. Source: official actor_loss, flow_loss."""
    k_time, k_noise = jax.random.split(key)
    tau = 1.0 - models.behaviour.path.sample_t(k_time, batch.a.shape[:1])
    z = jax.random.normal(k_noise, batch.a.shape)
    x = tau[:, None] * batch.a + (1.0 - tau)[:, None] * z
    v = -models.behaviour.velocity(x, 1.0 - tau, batch.s)
    return jnp.mean((v - (batch.a - z)) ** 2), {}


def actor_loss(models, batch, key, *, temperature, actor_critic, box=None):
    """Adjoint matching: sum_i |2 (v_theta - v_beta)(x_i) / sigma_i + sigma_i g_i|^2, summed over dimensions.

    Rollout x_(i+1) = x_i + h (2 v_theta - x_i / tau') + sqrt(h) sigma_i xi, tau' = tau + h, sigma_i^2 = 2 (1 - tau + h)
    / tau'; the last step is x + h v_beta. Adjoint g_N = -grad mean_j Q_j(s, x_N) / lambda, g_i = g_(i+1) +
    h J_i^T g_(i+1), J_i the Jacobian of 2 v_beta(x_i, tau') - x_i / tau'. beta is the behaviour model, lambda the
    temperature; nothing but v_theta(x_i) is differentiated. batch.s (B, ds). Source: official agents/qam.py,
    adj_matching and actor_loss.
    """
    actor, slow, s = models.actor, models.behaviour, batch.s
    critic = models.target_critic if actor_critic == "target" else models.critic
    taus = 1.0 - actor.grid
    keys = jax.random.split(key, len(taus))
    x, visited = jax.random.normal(keys[-1], batch.a.shape), []
    for i in range(len(taus) - 1):
        h = taus[i + 1] - taus[i]
        sigma = jnp.sqrt(2.0 * (1.0 - taus[i] + h) / taus[i + 1])
        visited.append((x, taus[i], taus[i + 1], h, sigma))
        if i == len(taus) - 2:
            x = x + h * _v(slow, x, taus[i], s)
        else:
            drift = 2.0 * _v(actor, x, taus[i], s) - x / taus[i + 1]
            x = x + h * drift + jnp.sqrt(h) * sigma * jax.random.normal(keys[i], x.shape)
        x = jax.lax.stop_gradient(x)
    inside = (lambda a: a) if box is None else (lambda a: jnp.clip(a, -box, box))
    g = -jax.grad(lambda a: jnp.sum(jnp.mean(critic(s, inside(a)), axis=0)))(x) / temperature
    loss = 0.0
    for x, tau, after, h, sigma in reversed(visited):
        _, transpose = jax.vjp(lambda y, after=after: 2.0 * _v(slow, y, after, s) - y / after, x)
        g = g + h * transpose(g)[0]
        error = 2.0 / sigma * (_v(actor, x, tau, s) - jax.lax.stop_gradient(_v(slow, x, tau, s)))
        loss = loss + jnp.sum((error + sigma * jax.lax.stop_gradient(g)) ** 2, axis=-1)
    return jnp.mean(loss), {"adjoint": jnp.mean(jnp.abs(g))}


def _flow(field, s, key, box):
    """Euler steps of the flow from unit noise; (B, d)."""
    taus = 1.0 - field.grid
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))
    for tau, after in zip(taus[:-1], taus[1:], strict=True):
        x = x + (after - tau) * _v(field, x, tau, s)
    return x if box is None else jnp.clip(x, -box, box)


def critic_loss(models, batch, key, *, discount, pessimism, box=None):
    """Heads regressed on r + gamma (mean_h - rho std_h) Qbar_h(s', a'), a' one action of the flow; rho = pessimism.

    Source: official agents/qam.py, critic_loss.
    """
    q = models.target_critic(batch.next_s, _flow(models.actor, batch.next_s, key, box))
    v = jnp.mean(q, axis=0) - pessimism * jnp.std(q, axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * v)
    return jnp.mean((models.critic(batch.s, batch.a) - target) ** 2), {"v": jnp.mean(v)}


def act(models, s, key, *, box=None):
    """One action of the flow. Source: official agents/qam.py, sample_actions with best_of_n one."""
    return _flow(models.actor, s, key, box)
