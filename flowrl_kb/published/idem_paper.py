"""iDEM as the sampler of its paper (arXiv 2402.06121), by jarridrb/DEM (8e95319): a given energy, an exploding path."""

import jax
import jax.numpy as jnp

TRAINS = {"actor": "field"}


def log_mean_exp(log_density, x, sigma, noises):
    """log (1/K) sum_k exp(-E(x + sigma n_k)), -E = log_density; x (d,), noises (K, d).

    Source: dem/models/components/score_estimator.py, log_expectation_reward.
    """
    return jax.nn.logsumexp(log_density(x + sigma * noises)) - jnp.log(noises.shape[0])


def actor_loss(models, batch, key, *, temperature, candidates):
    """sigma_t^2 |s_theta(x_t, t) - S_K(x_t, t)|^2, S_K the gradient of `log_mean_exp`, x_t = a + sigma_t z.

    The density is exp(-E) with -E = mean_h Q_h / lambda, one energy for which the mean of heads stands; batch.a (B, d)
    are samples of the buffer, candidates = K, temperature = lambda. Source: dem/models/dem_module.py, training_step and
    get_loss, with the weight of the Gaussian mixture (BasicLambdaWeighter, which adds 1e-3 to sigma^2). The source also
    cuts the norm of S_K at 70 there, which is left out.
    """
    k_time, k_forward, k_samples = jax.random.split(key, 3)
    field, (size, d) = models.actor, batch.a.shape
    t = field.path.sample_t(k_time, (size,))
    sigma = field.path.sigma(t)
    x = batch.a + sigma[:, None] * jax.random.normal(k_forward, (size, d))

    def estimate(x, sigma, noises, s):
        context = jnp.broadcast_to(s, (candidates, *s.shape))
        log_density = lambda a: models.critic(context, a).mean(axis=0) / temperature  # noqa: E731
        return jax.grad(lambda y: log_mean_exp(log_density, y, sigma, noises))(x)

    target = jax.vmap(estimate)(x, sigma, jax.random.normal(k_samples, (size, candidates, d)), batch.s)
    gap = field.score(x, t, batch.s) - jax.lax.stop_gradient(target)
    return jnp.mean(sigma**2 * jnp.mean(gap**2, axis=-1)), {"norm": jnp.mean(jnp.linalg.norm(target, axis=-1))}


def act(models, s, key):
    """One sample of the trained process. Source: dem/models/dem_module.py, generate_samples."""
    return models.actor.sample(key, s)
