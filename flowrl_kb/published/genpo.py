"""GenPO: Generative Diffusion Models Meet On-Policy Reinforcement Learning, Ding et al. 2025 (arXiv 2505.18763)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "value": "value"}


def forward(field, x, s):
    """The doubled action x_1 (..., 2d) that the coupled steps make of noise x_0 (..., 2d) at states s (..., ds).

    z' = z + h v(y, t), y' = y + h v(z', t); then z = p z' + (1 - p) y', y = p y' + (1 - p) z with the new z.
    Source: doubled dummy action; official modules/reflow/flow.py, _Heun_method. v points from noise to action, so it is
    minus the field's velocity, whose time runs the other way; h is the length of a grid step, p = field.mixing.
    """
    z, y = x[..., : field.dim], x[..., field.dim :]
    p = field.mixing
    for k in range(field.grid.shape[0] - 1):
        t, h = jnp.full(z.shape[:-1], field.grid[k]), field.grid[k] - field.grid[k + 1]
        z_in = z - h * field.velocity(y, t, s)
        y_in = y - h * field.velocity(z_in, t, s)
        z = p * z_in + (1.0 - p) * y_in
        y = p * y_in + (1.0 - p) * z
    return jnp.concatenate([z, y], axis=-1)


def inverse(field, x, s):
    """The noise x_0 (..., 2d) of a doubled action x_1, the steps of `forward` undone in turn.

    Source: official flow.py, _Heun_method_inverse.
    """
    z, y = x[..., : field.dim], x[..., field.dim :]
    p = field.mixing
    for k in reversed(range(field.grid.shape[0] - 1)):
        t, h = jnp.full(z.shape[:-1], field.grid[k]), field.grid[k] - field.grid[k + 1]
        y_in = (y - (1.0 - p) * z) / p
        z_in = (z - (1.0 - p) * y_in) / p
        y = y_in + h * field.velocity(z_in, t, s)
        z = z_in + h * field.velocity(y, t, s)
    return jnp.concatenate([z, y], axis=-1)


def log_likelihood(field, x, s):
    """log pi(x_1 | s) = log N(f^-1(x_1); 0, I) + log |det d f^-1 / d x_1|, the determinant of the whole Jacobian: (B,).

    Source: change of variables of the doubled action; official flow.py, inverse with jac. x (B, 2d), s (B, ds).
    """

    def one(x, s):
        jacobian, noise = jax.jacfwd(lambda x: 2 * (inverse(field, x, s),), has_aux=True)(x)
        log_det = jnp.linalg.slogdet(jacobian)[1]
        return jnp.sum(-0.5 * noise**2 - 0.5 * jnp.log(2.0 * jnp.pi)) + log_det

    return jax.vmap(one)(x, s)


def actor_loss(models, batch, key, *, clip, entropy_weight, copy_weight):
    """PPO on the doubled action, minus its entropy, plus the distance between its halves.

    L = -E min(r A, clip(r, 1 +- eps) A) + c_H E log pi(x_1|s) + c_C E|z - y|, r = pi(x_1|s) / pi_old(x_1|s); the halves
    (z, y) of the last term are made of fresh noise. Source: official algorithms/flowppo.py, update. batch.chain
    (K+1, B, 2d) of the coupled steps of models.old, of which the last state x_1 is read; batch.advantage (B,).
    """
    x, actor = batch.chain[-1], models.actor
    log_new = log_likelihood(actor, x, batch.s)
    ratio = jnp.exp(log_new - jax.lax.stop_gradient(log_likelihood(models.old, x, batch.s)))
    clipped = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    surrogate = jnp.maximum(-batch.advantage * ratio, -batch.advantage * clipped)
    fresh = forward(actor, jax.random.normal(key, x.shape), batch.s)
    compression = jnp.mean(jnp.linalg.norm(fresh[:, : actor.dim] - fresh[:, actor.dim :], axis=-1))
    loss = jnp.mean(surrogate) + entropy_weight * jnp.mean(log_new) + copy_weight * compression
    return loss, {"clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip), "compression": compression}


def value_loss(models, batch, key, *, value_weight):
    """c_V E (V(s) - R)^2, not clipped. Source: official flowppo.py, without its clipped alternative."""
    return value_weight * jnp.mean((models.value(batch.s) - batch.returns) ** 2), {}


def act(models, s, key):
    """The mean of the two halves of one doubled action. Source: official runners/on_policy_flow_runner.py, learn."""
    field = models.actor
    x = forward(field, jax.random.normal(key, (*s.shape[:-1], 2 * field.dim)), s)
    a = 0.5 * (x[..., : field.dim] + x[..., field.dim :])
    return a if field.box is None else jnp.clip(a, -field.box, field.box)
