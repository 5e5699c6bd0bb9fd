"""Diffusion-DICE: In-Sample Diffusion Guidance for Offline Reinforcement Learning, Mao, Xu et al. 2024
(arXiv 2407.20109)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "value": "value", "critic": "critic", "energy": "energy"}


def _residual(models, s, a, alpha):
    """u = (min_i Qbar_i(s, a) - V(s)) / alpha (B,) for actions a (B, d)."""
    return (jnp.min(models.target_critic(s, a), axis=0) - models.value(s)) / alpha


def actor_loss(models, batch, key):
    """Denoising score matching on the data's actions; no value enters.

    E |sigma_t s_theta(x_t, t, s) + z|^2, x_t = alpha_t a + sigma_t z. Source: behaviour model of the paper; official
    pretrain_behavior.py, the pipeline of CEP. batch.a (B, d) are data actions.
    """
    k_time, k_noise = jax.random.split(key)
    path = models.actor.path
    t = path.sample_t(k_time, batch.a.shape[:1])
    sigma, z = path.sigma(t)[:, None], jax.random.normal(k_noise, batch.a.shape)
    score = models.actor.score(path.alpha(t)[:, None] * batch.a + sigma * z, t, batch.s)
    return jnp.mean(jnp.sum((sigma * score + z) ** 2, axis=-1)), {}


def value_loss(models, batch, key, *, temperature):
    """Semi-gradient dual of the penalised problem with the piecewise divergence: E f*(u) + V(s) / alpha.

    u = (min_i Qbar_i(s, a) - V(s)) / alpha at the data's action, f*(u) = u^2 / 4 + u for u >= 0 and e^u - 1 below;
    alpha = temperature. Source: value objective of the paper; official diffusion_DICE/model.py, update_v0, whose cut of
    the exponent at one belongs to the branch that is not taken.
    """
    u = _residual(models, batch.s, batch.a, temperature)
    conjugate = jnp.where(u >= 0.0, u**2 / 4.0 + u, jnp.exp(jnp.minimum(u, 1.0)) - 1.0)
    return jnp.mean(conjugate + models.value(batch.s) / temperature), {"u": jnp.mean(u)}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma V(s'). Source: official diffusion_DICE/model.py, update_v0."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    first, second = models.critic(batch.s, batch.a)
    return jnp.mean((target - first) ** 2 + (target - second) ** 2), {}


def energy_loss(models, batch, key, *, temperature, candidates, weight_clip):
    """In-sample guidance learning: E[w(s, a) e^(-g(a_t, t, s)) + g(a_t, t, s)] on noised copies of the data's action.

    w = 1 + u / 2 for u >= 0 and e^u below, u as in `value_loss`, at most weight_clip; each action has `candidates`
    copies at one level t with noises of their own. Source: guidance objective of the paper; official
    diffusion_DICE/model.py, update_wt, but for the factor by which clip_normalize_dual_loss divides each batch.
    """
    k_time, k_noise = jax.random.split(key)
    path = models.actor.path
    u = _residual(models, batch.s, batch.a, temperature)
    w = jnp.where(u >= 0.0, u / 2.0 + 1.0, jnp.exp(jnp.minimum(u, 0.0)))
    w = jax.lax.stop_gradient(jnp.minimum(w, weight_clip))[:, None]
    copies = jnp.repeat(batch.a[:, None], candidates, axis=1)
    t = jnp.repeat(path.sample_t(k_time, batch.a.shape[:1])[:, None], candidates, axis=1)
    noisy = path.alpha(t)[..., None] * copies + path.sigma(t)[..., None] * jax.random.normal(k_noise, copies.shape)
    g = models.energy(noisy, t, jnp.repeat(batch.s[:, None], candidates, axis=1))
    return jnp.mean(w * jnp.exp(-g) + g), {"weight": jnp.mean(w)}


def act(models, s, key, *, best_of, guidance_weight, box=None):
    """Guide, then select: of `best_of` samples of the guided probability-flow ODE the one with the largest mean of Q.

    Score s_theta + w grad_a g with w = guidance_weight. In y = x / alpha and r = sigma / alpha the ODE is dy/dr =
    -sigma score, here by Euler steps of dx/dt = (alpha'/alpha) x - alpha r' sigma score along the grid in place of
    DPM-Solver. Source: guide-then-select of the paper; official forward_dmp_wrapper_fn and
    filter_by_independent_critic, which averages an ensemble of its own; here the trained heads are averaged.
    """
    field, path = models.actor, models.actor.path
    x = jax.random.normal(key, (best_of, *s.shape[:-1], field.dim))
    log_alpha, ratio = lambda u: jnp.log(path.alpha(u)), lambda u: path.sigma(u) / path.alpha(u)
    for now, then in zip(field.grid[:-1], field.grid[1:], strict=True):
        t = jnp.full(x.shape[:-1], now)
        push = jax.grad(lambda a, t=t: jnp.sum(models.energy(a, t, s)))(x)
        noise = -path.sigma(now) * (field.score(x, t, s) + guidance_weight * push)
        x = x + (then - now) * (jax.grad(log_alpha)(now) * x + path.alpha(now) * jax.grad(ratio)(now) * noise)
    x = x if box is None else jnp.clip(x, -box, box)
    best = jnp.argmax(jnp.mean(models.critic(s, x), axis=0), axis=0)
    return jnp.take_along_axis(x, best[None, ..., None], axis=0)[0]
