"""DIME: Diffusion-Based Maximum Entropy Reinforcement Learning, Celik et al. 2025 (arXiv 2502.02316)."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "categorical-critic", "log_temperature": "scalar"}


def log_gaussian(x, mean, variance):
    """log N(x; mean, variance I), summed over the last axis."""
    d = x.shape[-1]
    return -jnp.sum((x - mean) ** 2, axis=-1) / (2.0 * variance) - 0.5 * d * jnp.log(2.0 * jnp.pi * variance)


def simulate(field, s, key):
    """Generate a_0 (..., d) from a_N ~ N(0, I) and the costs of its path: running (...,) and terminal (...,).

    a_{n-1} = a_n + beta_n (a_n + 2 f_theta(a_n, n, s)) + sqrt(2 beta_n) xi, f_theta the score; the noising kernel
    N(a_n; (1 - beta_n) a_{n-1}, 2 beta_n). Running cost sum_n log p(a_{n-1} | a_n) - log q(a_n | a_{n-1}), terminal
    cost log N(a_N; 0, I). Source: official od_integrators.py and od_sampling.py, in units of the prior's deviation;
    beta_n is the decay of the signal over a step, log(alpha_{n-1} / alpha_n). The tanh behind a_0 and its
    log-determinant are left out.
    """
    k_start, k_steps = jax.random.split(key)
    start = jax.random.normal(k_start, (*s.shape[:-1], field.dim))
    decay = jnp.log(field.path.alpha(field.grid))

    def denoise(state, step):
        a, running = state
        level, beta, k = step
        mean = a + beta * (a + 2.0 * field.score(a, jnp.full(a.shape[:-1], level), s))
        new = mean + jnp.sqrt(2.0 * beta) * jax.random.normal(k, a.shape)
        generated = log_gaussian(new, mean, 2.0 * beta)
        noised = log_gaussian(a, new - beta * new, 2.0 * beta)
        return (new, running + generated - noised), None

    keys = jax.random.split(k_steps, len(field.grid) - 1)
    steps = (field.grid[:-1], decay[1:] - decay[:-1], keys)
    a, running = jax.lax.scan(denoise, (start, jnp.zeros(s.shape[:-1])), steps)[0]
    terminal = log_gaussian(start, 0.0, 1.0)
    return (a if field.box is None else jnp.clip(a, -field.box, field.box)), running, terminal


def actor_loss(models, batch, key):
    """L = E[-(Q_1 + Q_2)(s, a_0) / 2 + alpha (running + terminal cost)], differentiated through the whole path.

    The KL of the path to the noising path whose action has the law exp(Q / alpha) / Z, up to log Z. Q_i are the mean
    returns of the critics, alpha = exp(models.log_temperature) a constant. Source: official dime.py, update_actor.
    """
    a, running, terminal = simulate(models.actor, batch.s, key)
    q = jnp.mean(models.critic(batch.s, a), axis=0)
    alpha = jax.lax.stop_gradient(jnp.exp(models.log_temperature))
    return jnp.mean(-q + alpha * (running + terminal)), {"bound": -jnp.mean(running + terminal)}


def projected(probabilities, target, low, gap):
    """The law with `probabilities` (B, n) at `target` (B, n), on the atoms low + i gap: (B, n).

    Each target between two atoms is shared between them in proportion to its nearness. Source: Bellemare et al. 2017.
    """
    position = (target - low) / gap
    below = jnp.clip(jnp.floor(position), 0, target.shape[1] - 2)
    above = position - below

    def of_state(p, i, share):
        i = i.astype(int)
        return jnp.zeros_like(p).at[i].add(p * (1.0 - share)).at[i + 1].add(p * share)

    return jax.vmap(of_state)(probabilities, below, above)


def critic_loss(models, batch, key, *, discount, value_min, value_max, output_entropy):
    """Sum over critics of -E sum_n m_n log p_n + c E sum_n p_n log p_n, m the critics' mean projected target law.

    Targets r + gamma (1 - d)(z_n - alpha (running + terminal cost)), cut to [value_min, value_max], at the next action;
    c = output_entropy. Source: official dime.py, update_critic; the batch normalisation of CrossQ is a network's.
    """
    next_a, running, terminal = simulate(models.actor, batch.next_s, key)
    next_p = jax.nn.softmax(models.target_logits(batch.next_s, next_a), axis=-1)
    atoms = jnp.linspace(value_min, value_max, next_p.shape[-1])
    bonus = -jnp.exp(models.log_temperature) * (running + terminal)
    go_on = (discount * batch.not_done)[:, None]
    target = jnp.clip(batch.reward[:, None] + go_on * bonus[:, None] + go_on * atoms, value_min, value_max)
    p_1, p_2 = (projected(p, target, value_min, atoms[1] - atoms[0]) for p in next_p)
    m = jax.lax.stop_gradient((p_1 + p_2) / 2.0)
    loss = 0.0
    for logits in models.logits(batch.s, batch.a):
        log_p = jax.nn.log_softmax(logits, axis=-1)
        loss = loss - jnp.mean(jnp.sum(m * log_p, axis=-1))
        loss = loss + output_entropy * jnp.mean(jnp.sum(jnp.exp(log_p) * log_p, axis=-1))
    return loss, {}


def log_temperature_loss(models, batch, key, *, target_entropy):
    """L = -alpha E[running cost + terminal cost + Hbar], Hbar = d target_entropy. Source: official update_temperature.

    The official code compares the running cost alone, which moves Hbar by the terminal cost's constant mean.
    """
    _, running, terminal = simulate(models.actor, batch.s, key)
    gap = jax.lax.stop_gradient(jnp.mean(running + terminal)) + models.actor.dim * target_entropy
    return -jnp.exp(models.log_temperature) * gap, {}


def act(models, s, key):
    """One action of the path. Source: official diffusion_policy.py."""
    return simulate(models.actor, s, key)[0]
