"""PA-RL: Policy Agnostic RL, Mark et al. 2024 (arXiv 2412.06685), with a diffusion policy and an in-sample critic."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "critic", "value": "value"}


def optimised(critic, s, candidates, *, kept, action_steps, action_rate, box=None):
    """Global, then local optimisation of the candidates (N, B, d): kept actions (k, B, d) and their values (k, B).

    The k of largest mean Q take M steps a <- clip(a + eta grad_a mean_j Q_j(s, a)); each keeps the best action that it
    met. kept = k, action_steps = M, action_rate = eta. Source: official action_optimization.py. s (B, ds).
    """
    value = lambda a, s: jnp.mean(critic(s, a))  # noqa: E731
    over = jax.vmap(jax.vmap(value), in_axes=(0, None))
    slope = jax.vmap(jax.vmap(jax.grad(value)), in_axes=(0, None))
    _, top = jax.lax.top_k(over(candidates, s).T, min(kept, candidates.shape[0]))  # (B, k)
    a = jax.vmap(lambda of_state, index: of_state[index], in_axes=(1, 0), out_axes=1)(candidates, top)
    best, best_value = a, over(a, s)
    for _ in range(action_steps):
        a = a + action_rate * slope(a, s)
        if box is not None:
            a = jnp.clip(a, -box, box)
        now = over(a, s)
        best = jnp.where((now > best_value)[..., None], a, best)
        best_value = jnp.maximum(now, best_value)
    return jax.lax.stop_gradient(best), jax.lax.stop_gradient(best_value)


def actor_loss(models, batch, key, *, candidates, kept, action_steps, action_rate, temperature, box=None):
    """Denoising of one optimised candidate of the policy before its update.

    L = E |eps - eps_theta(alpha_t a* + sigma_t eps, t, s)|^2, a* one of the k `optimised` of `candidates` samples,
    drawn with probability softmax(mean_j Q_j / temperature). Source: official train.py,
    preprocess_batch_with_action_optimization; ddpm_bc.py, ddpm_bc_loss.
    """
    k_sample, k_pick, k_time, k_noise = jax.random.split(key, 4)
    drawn = models.old.sample(k_sample, batch.s, (candidates,))
    steps = {"kept": kept, "action_steps": action_steps, "action_rate": action_rate, "box": box}
    a, q = optimised(models.critic, batch.s, drawn, **steps)
    pick = jax.random.categorical(k_pick, q / temperature, axis=0)
    target = jnp.take_along_axis(a, pick[None, :, None], axis=0)[0]
    path = models.actor.path
    t = path.sample_t(k_time, target.shape[:1])
    eps = jax.random.normal(k_noise, target.shape)
    noisy = path.alpha(t)[:, None] * target + path.sigma(t)[:, None] * eps
    return jnp.mean(jnp.sum((models.actor.eps(noisy, t, batch.s) - eps) ** 2, axis=-1)), {"q": jnp.mean(q)}


def value_loss(models, batch, key, *, expectile):
    """Expectile regression |tau - 1[u < 0]| u^2, u = min_i Qbar_i(s, a) - V(s). Source: official iql.py."""
    u = jax.lax.stop_gradient(jnp.min(models.target_critic(batch.s, batch.a), axis=0)) - models.value(batch.s)
    return jnp.mean(jnp.where(u > 0, expectile, 1.0 - expectile) * u**2), {}


def critic_loss(models, batch, key, *, discount):
    """Both heads regressed on r + gamma V(s'). Source: official iql.py."""
    target = jax.lax.stop_gradient(batch.reward + discount * batch.not_done * models.value(batch.next_s))
    return jnp.sum(jnp.mean((models.critic(batch.s, batch.a) - target) ** 2, axis=-1)), {}


def act(models, s, key, *, best_of, kept, action_steps, action_rate, box=None):
    """The `optimised` candidate of largest mean Q. Source: official base_config.py, max_q_value."""
    drawn = models.actor.sample(key, s, (best_of,))
    steps = {"kept": kept, "action_steps": action_steps, "action_rate": action_rate, "box": box}
    a, q = optimised(models.critic, s, drawn, **steps)
    return jnp.take_along_axis(a, jnp.argmax(q, axis=0)[None, :, None], axis=0)[0]
