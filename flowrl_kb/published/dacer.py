"""DACER: Diffusion Actor-Critic with Entropy Regulator, Wang et al. 2024 (arXiv 2405.15177)."""

from functools import reduce

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field", "critic": "gaussian-critic", "log_temperature": "scalar"}


def diffuse(field, s, key):
    """Run the reverse diffusion from noise to one action (..., d), differentiably. Source: official p_sample.

    Each step denoises, clips the denoised action to the box, and draws from the posterior; the last step has no noise.
    """
    k_start, k_steps = jax.random.split(key)
    x = jax.random.normal(k_start, (*s.shape[:-1], field.dim))
    alpha, sigma = field.path.alpha(field.grid), field.path.sigma(field.grid)

    def body(x, level):
        t, a_t, s_t, a_u, s_u, k = level
        recon = (x - s_t * field.eps(x, jnp.full(x.shape[:-1], t), s)) / a_t
        recon = recon if field.box is None else jnp.clip(recon, -field.box, field.box)
        step = a_t / a_u
        beta = 1.0 - step**2 * (s_u / s_t) ** 2
        x = a_u * beta * recon + step * (s_u / s_t) ** 2 * x
        return x + s_u * jnp.sqrt(jnp.clip(beta, 0.0, None)) * jax.random.normal(k, x.shape), None

    keys = jax.random.split(k_steps, field.grid.shape[0] - 1)
    return jax.lax.scan(body, x, (field.grid[:-1], alpha[:-1], sigma[:-1], alpha[1:], sigma[1:], keys))[0]


def noised(a, key, log_temperature, noise_std, box):
    """a + lambda alpha xi, clipped to the box. Source: eq. 15; official get_action. lambda = noise_std."""
    a = a + noise_std * jnp.exp(log_temperature) * jax.random.normal(key, a.shape)
    return a if box is None else jnp.clip(a, -box, box)


def actor_loss(models, batch, key, *, actor_noise_std, box=None):
    """L = -E min_i Q_i(s, a), a = a_theta + lambda alpha xi; the gradient runs through the whole diffusion.

    Source: eq. 10; the added noise as in official dacer.py. alpha = exp(models.log_temperature).
    """
    k_chain, k_noise = jax.random.split(key)
    a = diffuse(models.actor, batch.s, k_chain)
    a = noised(a, k_noise, models.log_temperature, actor_noise_std, box)
    return -jnp.mean(reduce(jnp.minimum, models.critic(batch.s, a))), {}


def critic_loss(models, batch, key, *, discount, backup_noise_std, spread_clip, spread_bias, box=None):
    """Distributional critics (mu_i, sigma_i), trained by the gradient form of DSAC-T, summed over i.

    L_i = -(m^2 + b) E[mu (y - mu) / (sigma^2 + b) + sigma ((mu - C(y_z))^2 - sigma^2) / (sigma^3 + b)], bracketed
    factors beside the leading mu and sigma constant; y = r + gamma min_j mu_j(s', a'), y_z a return drawn from the head
    of that minimum with its normal number cut at 3, C the cut to mu +- spread_clip m, b = spread_bias. Source: official
    dacer.py; its running mean of the spread, m, is here the batch mean of the averaged spread.
    """
    k_chain, k_noise, k_z = jax.random.split(key, 3)
    next_a = diffuse(models.actor, batch.next_s, k_chain)
    next_a = noised(next_a, k_noise, models.log_temperature, backup_noise_std, box)
    mu_next, sigma_next = models.target_critic(batch.next_s, next_a), models.target_spread(batch.next_s, next_a)
    z = jnp.clip(jax.random.normal(k_z, mu_next.shape), -3.0, 3.0)
    drawn = mu_next + sigma_next * z
    low, drawn = jnp.min(mu_next, axis=0), jnp.where(mu_next[0] < mu_next[1], drawn[0], drawn[1])
    y, y_z = (batch.reward + discount * batch.not_done * v for v in (low, drawn))
    loss = 0.0
    typical = jnp.mean(models.target_spread(batch.s, batch.a), axis=1)
    for mu, sigma, m in zip(models.critic(batch.s, batch.a), models.spread(batch.s, batch.a), typical, strict=True):
        mu_0, sigma_0, m, y, y_z = jax.lax.stop_gradient((mu, jnp.maximum(sigma, 0.0), m, y, y_z))
        bounded = mu_0 + jnp.clip(y_z - mu_0, -spread_clip * m, spread_clip * m)
        of_mu = mu * (y - mu_0) / (sigma_0**2 + spread_bias)
        of_sigma = sigma * ((mu_0 - bounded) ** 2 - sigma_0**2) / (sigma_0**3 + spread_bias)
        loss = loss - (m**2 + spread_bias) * jnp.mean(of_mu + of_sigma)
    return loss, {"drawn": jnp.mean(y_z)}


def k_means(x, key, components):
    """Memberships (N, components) of x (N, d): far-apart starting points drawn by squared distance, then 20 rounds."""
    keys = jax.random.split(key, components)
    centres = x[jax.random.randint(keys[0], (1,), 0, x.shape[0])]
    for k in keys[1:]:
        gap = jnp.min(jnp.sum((x[:, None] - centres) ** 2, axis=-1), axis=1)
        centres = jnp.concatenate([centres, x[jax.random.categorical(k, jnp.log(gap))][None]])

    def members(centres):
        return jax.nn.one_hot(jnp.argmin(jnp.sum((x[:, None] - centres) ** 2, axis=-1), axis=1), components)

    def move(_, centres):
        count = jnp.sum(members(centres), axis=0)[:, None]
        return jnp.where(count > 0, members(centres).T @ x / jnp.maximum(count, 1.0), centres)

    return members(jax.lax.fori_loop(0, 20, move, centres))


def chain_rule(away, spread):
    """log N(away; 0, spread) (N, K) of away (N, K, d) and spreads (K, d, d), each coordinate given the earlier ones.

    The library's inverse makes a call for each small matrix, which takes half of the time of a fit.
    """
    total, inverse = 0.0, jnp.zeros((spread.shape[0], 0, 0))
    for j in range(spread.shape[-1]):
        slope = jnp.einsum("kab,kb->ka", inverse, spread[:, :j, j])
        left = spread[:, j, j] - jnp.sum(slope * spread[:, :j, j], axis=1)
        gap = away[..., j] - jnp.sum(slope * away[..., :j], axis=-1)
        total = total - 0.5 * (gap**2 / left + jnp.log(2.0 * jnp.pi * left))
        border = jnp.concatenate([-slope, jnp.ones_like(left)[:, None]], axis=1)
        grown = jnp.pad(inverse, ((0, 0), (0, 1), (0, 1)))
        inverse = grown + border[:, :, None] * border[:, None, :] / left[:, None, None]
    return total


def mixture_entropy(x, key, components, rounds):
    """Entropy of samples x (N, d) by a Gaussian mixture: -sum_k w_k log w_k + sum_k w_k log det(2 pi e S_k) / 2.

    Expectation-maximisation from k-means, ended where a round gains less than 1e-3 in mean log-likelihood or after
    `rounds`. Source: eq. 11-13; official estimate_entropy, whose mixture is scikit-learn's with its default settings.
    """
    d = x.shape[1]

    def maximise(member):
        share = jnp.mean(member, axis=0) + 1e-8
        mean = (member.T @ x) / (x.shape[0] * share[:, None])
        away = x[:, None] - mean
        spread = jnp.einsum("nk,nki,nkj->kij", member, away, away) / (x.shape[0] * share[:, None, None])
        return share, mean, spread + 1e-6 * jnp.eye(d)

    def round_(state):
        i, (share, mean, spread), before, _ = state
        joint = jnp.log(share) + chain_rule(x[:, None] - mean, spread)
        return i + 1, maximise(jax.nn.softmax(joint, axis=1)), jnp.mean(jax.nn.logsumexp(joint, axis=1)), before

    begin = (0, maximise(k_means(x, key, components)), -jnp.inf, -jnp.inf)
    going = lambda state: (state[0] < 2) | ((jnp.abs(state[2] - state[3]) >= 1e-3) & (state[0] < rounds))  # noqa: E731
    share, _, spread = jax.lax.while_loop(going, round_, begin)[1]
    log_det = jnp.linalg.slogdet(spread)[1] + d * (1.0 + jnp.log(2.0 * jnp.pi))
    return jnp.sum(share * (0.5 * log_det - jnp.log(share)))


def log_temperature_loss(
    models, batch, key, *, target_entropy, entropy_samples, mixture_components, mixture_rounds, noise_std, box=None
):
    """L = log alpha (H - Hbar), H the mixture entropy of executed actions, Hbar = d target_entropy. Source: eq. 14.

    H is averaged over the batch's states, `entropy_samples` actions for each.
    """
    k_chain, k_noise, k_fit = jax.random.split(key, 3)
    s = jnp.broadcast_to(batch.s[:, None], (batch.s.shape[0], entropy_samples, batch.s.shape[1]))
    a = noised(diffuse(models.actor, s, k_chain), k_noise, models.log_temperature, noise_std, box)
    fits = jax.random.split(k_fit, a.shape[0])
    entropies = jax.vmap(lambda x, k: mixture_entropy(x, k, mixture_components, mixture_rounds))(a, fits)
    entropy = jax.lax.stop_gradient(jnp.mean(entropies))
    return models.log_temperature * (entropy - models.actor.dim * target_entropy), {"entropy": entropy}


def act(models, s, key, *, noise_std, box=None):
    """One diffusion sample plus Gaussian noise of deviation lambda alpha. Source: official get_action."""
    k_chain, k_noise = jax.random.split(key)
    return noised(diffuse(models.actor, s, k_chain), k_noise, models.log_temperature, noise_std, box)
