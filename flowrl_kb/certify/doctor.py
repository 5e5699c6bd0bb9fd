"""Is this machine's numerics fit to certify? A self-test against NumPy, and what runs here."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from flowrl_kb.errors import UserError

TOLERANCE = 1e-3


def numerics_error() -> float:
    """Largest deviation from NumPy of a nested-vmap mixture denoiser with random features, on a sample of points.

    jaxlib 0.10.2 computes this graph wrongly on CPUs with more than one core, silently; other releases pass.
    """
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(7)
    centre = rng.normal(scale=0.5, size=(3, 2)).astype(np.float32)
    log_weight = np.log(np.array([0.4, 0.35, 0.25], np.float32))
    frequency = rng.normal(size=(48, 3)).astype(np.float32)
    phase = rng.uniform(0, 6.28, 48).astype(np.float32)
    x = rng.normal(size=(4096, 32, 2)).astype(np.float32)
    t = rng.uniform(0.08, 0.92, 4096).astype(np.float32)

    def eps(point, level, xp):
        alpha, sigma = xp.cos(level * np.pi / 2), xp.sin(level * np.pi / 2)
        variance = (0.25 * alpha) ** 2 + sigma**2
        logit = log_weight - 0.5 * ((point[None] - alpha * centre) ** 2).sum(-1) / variance
        share = xp.exp(logit - logit.max())
        share = share / share.sum()
        denoised = (share[:, None] * (centre + 0.0625 * alpha / variance * (point[None] - alpha * centre))).sum(0)
        feature = xp.cos(frequency @ xp.concatenate([point, level[None]]) + phase) / np.float32(5.0)
        return (point - alpha * (denoised + 0.1 * feature.sum() * xp.ones(2))) / sigma

    inner = lambda points, level: jax.vmap(lambda point: eps(point, level, jnp))(points)  # noqa: E731
    got = np.asarray(jax.jit(jax.vmap(inner))(x, t))
    if not np.isfinite(got).all():
        return float("inf")
    rows = range(0, 4096, 128)
    want = np.stack([[eps(x[i, j], t[i], np) for j in range(32)] for i in rows])
    return float(np.abs(got[::128] - want).max())


def require_sound_numerics() -> None:
    """Raise UserError when the self-test fails: verdicts made here could not be trusted."""
    error = numerics_error()
    if not error < TOLERANCE:
        raise UserError(
            f"numerics self-test failed: largest error {error:.3g}, expected below {TOLERANCE:g}; "
            f"jaxlib {version('jaxlib')} is not fit here, install jax 0.10.1"
        )


def doctor() -> None:
    """Check versions, back end, numerics and determinism; exit 1 when verdicts could not be trusted."""
    import jax

    def found(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    devices = f"{len(jax.devices())} device(s), {jax.default_backend()}"
    print(f"python {sys.version.split()[0]} on {platform.machine()}, {devices}")
    print(", ".join(f"{name} {found(name)}" for name in ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "mujoco")))
    error = numerics_error()
    same = np.array_equal(*(np.asarray(jax.random.normal(jax.random.key(0), (64,))) for _ in range(2)))
    print(
        f"numerics: largest error {error:.2e} (below {TOLERANCE:g} wanted): {'ok' if error < TOLERANCE else 'FAILED'}"
    )
    print(f"determinism of random numbers: {'ok' if same else 'FAILED'}")
    if not (error < TOLERANCE and same):
        raise SystemExit(1)
