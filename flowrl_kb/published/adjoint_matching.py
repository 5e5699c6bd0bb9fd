"""Adjoint Matching: Domingo-Enrich, Drozdzal, Karrer and Chen 2024 (arXiv 2409.08861), for flow models.

Times are the paper's, from noise at t = 0 to data at t = 1, with alpha_t = t and beta_t = 1 - t.
"""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field"}


def towards_data(field, x, t, s):
    """The velocity dX/dt at time t; x (B, d), s (B, ds)."""
    return -field.velocity(x, jnp.full(x.shape[:-1], 1.0 - t), s)


def base_drift(field, x, t, after, s):
    """b(x, t) = 2 v(x, t) - kappa x, kappa = 1 / (t + h): alpha'/alpha read behind the step, finite at t = 0."""
    return 2.0 * towards_data(field, x, t, s) - x / after


def noise_scale(t, after):
    """sigma(t) = sqrt(2 (1 - t + h) / (t + h)): memoryless, finite at both ends. Source: appendix on experiments."""
    return jnp.sqrt(2.0 * (1.0 - 2.0 * t + after) / after)


def trajectory(finetuned, base, s, key):
    """States X_0 to X_1 of the memoryless process of the fine-tuned field; the last step is noiseless and the base's.

    Source: eq. 40; the last step: appendix on experiments.
    """
    times = 1.0 - finetuned.grid
    key, start = jax.random.split(key)
    states = [jax.random.normal(start, (*s.shape[:-1], finetuned.dim))]
    for t, after in zip(times[:-2], times[1:-1], strict=True):
        key, here = jax.random.split(key)
        x, h = states[-1], after - t
        xi = jax.random.normal(here, x.shape)
        states.append(x + h * base_drift(finetuned, x, t, after, s) + jnp.sqrt(h) * noise_scale(t, after) * xi)
    x = states[-1]
    states.append(x + (times[-1] - times[-2]) * towards_data(base, x, times[-2], s))
    return [jax.lax.stop_gradient(x) for x in states]


def lean_adjoint(base, states, gradient, s, adjoint_level):
    """a_1 = `gradient`, a_t = a_(t+h) + h grad_x [b(X_t, t) . a_(t+h)] with the drift of the base; one for each step.

    Source: eq. 38-39 and 41; the index of the Jacobian as in the paper's algorithm for DDIM (`own`).
    """
    times = 1.0 - base.grid
    carried, adjoints = gradient, []
    for k in reversed(range(len(times) - 1)):
        at = times[k] if adjoint_level == "own" else times[k + 1]

        def along(x, k=k, at=at, a=carried):
            return jnp.sum(base_drift(base, x, at, times[k + 1], s) * a)

        carried = carried + (times[k + 1] - times[k]) * jax.grad(along)(states[k])
        adjoints.insert(0, jax.lax.stop_gradient(carried))
    return adjoints


def actor_loss(models, batch, key, *, temperature, adjoint_level, box=None):
    """E sum_t |2 / sigma(t) (v_theta - v_base)(X_t, t) + sigma(t) a_t|^2 over t = 0, h, ..., 1 - h, in all dimensions.

    The reward is r(X_1) / temperature, so that a_1 is minus its gradient. Nothing but v_theta(X_t, t) is
    differentiated. Source: Algorithm 1, eq. 40-42. batch.s (B, ds); models.behaviour is the base, models.critic the
    reward, whose heads (H, B) agree.
    """
    base, s = models.behaviour, batch.s
    states = trajectory(models.actor, base, s, key)

    def reward(x):
        x = x if box is None else jnp.clip(x, -box, box)
        return jnp.sum(jnp.mean(models.critic(s, x), axis=0)) / temperature

    adjoints = lean_adjoint(base, states, -jax.grad(reward)(states[-1]), s, adjoint_level)
    times, total = 1.0 - models.actor.grid, 0.0
    for x, a, t, after in zip(states[:-1], adjoints, times[:-1], times[1:], strict=True):
        sigma = noise_scale(t, after)
        before = jax.lax.stop_gradient(towards_data(base, x, t, s))
        control = 2.0 / sigma * (towards_data(models.actor, x, t, s) - before)
        total = total + jnp.mean(jnp.sum((control + sigma * a) ** 2, axis=-1))
    return total, {"adjoint": jnp.mean(jnp.abs(adjoints[0]))}


def act(models, s, key, *, box=None):
    """Euler steps of the fine-tuned flow from unit noise, without noise (sigma = 0)."""
    field = models.actor
    x = jax.random.normal(key, (*s.shape[:-1], field.dim))
    for now, then in zip(field.grid[:-1], field.grid[1:], strict=True):
        x = x + (then - now) * field.velocity(x, jnp.full(x.shape[:-1], now), s)
    return x if box is None else jnp.clip(x, -box, box)
