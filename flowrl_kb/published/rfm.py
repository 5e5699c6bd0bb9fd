"""RFM: Reverse Flow Matching: A Unified Framework for Online Reinforcement Learning with Diffusion and Flow Policies,
Li et al. 2026 (arXiv 2601.08136). The flow lives on latents u with a = box tanh(u / box); without a box a = u."""

from functools import partial, reduce

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic"}


def squash(u, box):
    """The action of a latent u (..., d)."""
    return u if box is None else box * jnp.tanh(u / box)


def log_target(critic, s, temperature, box, u):
    """log p_1(u | s) up to a constant: min_i Q_i(s, a) / lambda + sum_j log da_j/du_j, a scalar. u (d,), s (ds,).

    The last term is log sech^2(u_j / box): the Boltzmann law is one of actions. Source: official rfm.py, log_sech2.
    """
    value = reduce(jnp.minimum, critic(s, squash(u, box))) / temperature
    if box is None:
        return value
    return value + jnp.sum(2.0 * (jnp.log(2.0) - jnp.logaddexp(u / box, -u / box)))


def posterior_endpoints(log_p, x, alpha, beta, noises, control_variate, clip, ridge):
    """Self-normalised estimates (u_0, u_1), each (d,), of the posterior means of noise and latent at x (d,).

    u_1k = (x - beta n_k) / alpha, w = softmax_k log p_1(u_1k), S_k = (alpha / beta) n_k + grad log p_1(u_1k);
    u_1 = E_w u_1k + c E_w S_k, u_0 = (x - alpha u_1) / beta; in every dimension, cut at +-clip,
    c = -sum_k w_k^2 (u_1k - E_w u_1)(S_k - E_w S) / (sum_k w_k^2 (S_k - E_w S)^2 + ridge). A number as
    `control_variate` is the isotropic eta = c alpha^2 / beta^2. Source: SNIS with a Langevin Stein control variate and
    its coefficient of least asymptotic variance; official rfm.py, per_sample. noises (K, d).
    """
    u = (x - beta * noises) / alpha
    value, slope = jax.vmap(jax.value_and_grad(log_p))(u)
    w = jax.nn.softmax(value)
    score = alpha / beta * noises + slope
    mean_u, mean_score = w @ u, w @ score
    numerator = w**2 @ ((u - mean_u) * (score - mean_score))
    denominator = w**2 @ (score - mean_score) ** 2 + ridge
    best = jnp.clip(-numerator / denominator, -clip, clip)
    c = best if control_variate == "estimated" else control_variate * (beta / alpha) ** 2
    u_1 = mean_u + c * mean_score
    return (x - alpha * u_1) / beta, u_1


def actor_loss(
    models,
    batch,
    key,
    *,
    temperature,
    candidates,
    control_variate,
    control_variate_clip,
    control_variate_ridge,
    box=None,
):
    """L = E |v_theta(x_t, t, s) - (u_0 - u_1)|^2 / d, x_t = alpha u + beta n, alpha = 1 - t, beta = t.

    u is a latent of the current policy, (u_0, u_1) as in `posterior_endpoints`, candidates = K; t runs from clean to
    noise. Source: RFM-N for a straight path; official rfm.py, _update with rfm_on_policy. batch.s (B, ds).
    """
    field, s = models.actor, batch.s
    k_latent, k_time, k_forward, k_posterior = jax.random.split(key, 4)
    u = field.chain(k_latent, s)[-1]
    t = field.path.sample_t(k_time, s.shape[:1])
    alpha, beta = field.path.alpha(t), field.path.sigma(t)
    x = jax.lax.stop_gradient(alpha[:, None] * u + beta[:, None] * jax.random.normal(k_forward, u.shape))
    noises = jax.random.normal(k_posterior, (s.shape[0], candidates, u.shape[-1]))

    def endpoints(s, *at):
        log_p = partial(log_target, models.critic, s, temperature, box)
        return posterior_endpoints(log_p, *at, control_variate, control_variate_clip, control_variate_ridge)

    u_0, u_1 = jax.vmap(endpoints)(s, x, alpha, beta, noises)
    target = jax.lax.stop_gradient(u_0 - u_1)
    return jnp.mean((field.velocity(x, t, s) - target) ** 2), {"target": jnp.mean(jnp.abs(target))}


def critic_loss(models, batch, key, *, discount, box=None):
    """Each head regressed on r + gamma min_j Qbar_j(s', a'), a' one policy action.

    Source: official critic.py, update_q.
    """
    next_a = squash(models.actor.chain(key, batch.next_s)[-1], box)
    next_q = jnp.min(models.target_critic(batch.next_s, next_a), axis=0)
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * next_q)
    return sum(jnp.mean((q - target) ** 2) for q in models.critic(batch.s, batch.a)), {"target": jnp.mean(target)}


def act(models, s, key, *, best_of, box=None):
    """The sample of largest smaller critic among `best_of`. Source: official rfm.py, _sample_actions_flow_argmax_fn."""
    latents = jax.vmap(lambda k: models.actor.chain(k, s)[-1])(jax.random.split(key, best_of))
    a = squash(latents, box)
    best = jnp.argmax(jnp.min(models.critic(s, a), axis=0), axis=0)
    return jnp.take_along_axis(a, best[None, ..., None], axis=0)[0]
