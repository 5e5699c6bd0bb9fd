"""The parameter names that an audited loss may use, declared once: help, errors and binding read this table.

Never imports jax: the functions are called with a `World` (see `adapt`), which does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

KINDS = ("field", "map", "gaussian", "deterministic")
ALL = KINDS
DENSITY = ("gaussian",)
POLICIES = ("actor", "old", "behaviour", "target_actor")


class Name(NamedTuple):
    """What a parameter receives, for which policy kinds, and its other spellings."""

    meaning: str
    make: Callable[[Any], Any]
    policies: tuple[str, ...] = ALL
    also: tuple[str, ...] = ()


FIELD = ("field",)
HEADS = "every head (H, ...)"
NAMES: dict[str, Name] = {
    "eps_fn": Name("(x_t, t, s) -> noise", lambda w: w.field("actor", "eps"), FIELD, ("eps_theta", "noise_fn")),
    "x0_fn": Name("(x_t, t, s) -> clean action", lambda w: w.field("actor", "x0"), FIELD, ("denoiser",)),
    "v_fn": Name("(x_t, t, s) -> velocity", lambda w: w.field("actor", "velocity"), FIELD, ("velocity_fn",)),
    "score_fn": Name("(x_t, t, s) -> score", lambda w: w.field("actor", "score"), FIELD),
    "old_eps_fn": Name("noise of the previous policy", lambda w: w.field("old", "eps"), FIELD),
    "old_x0_fn": Name("clean action of the previous policy", lambda w: w.field("old", "x0"), FIELD),
    "old_v_fn": Name("velocity of the previous policy", lambda w: w.field("old", "velocity"), FIELD),
    "old_score_fn": Name("score of the previous policy", lambda w: w.field("old", "score"), FIELD),
    "behaviour_eps_fn": Name("noise of a model of the data", lambda w: w.field("behaviour", "eps"), FIELD),
    "behaviour_v_fn": Name("velocity of a model of the data", lambda w: w.field("behaviour", "velocity"), FIELD),
    "alpha_fn": Name("(t) -> alpha", lambda w: w.coefficient("alpha"), FIELD),
    "sigma_fn": Name("(t) -> sigma", lambda w: w.coefficient("sigma"), FIELD),
    "policy_fn": Name("map (s, z) -> a; point (s) -> a", lambda w: w.produce("actor"), ("map", "deterministic")),
    "old_policy_fn": Name("the previous map or point", lambda w: w.produce("old"), ("map", "deterministic")),
    "mean_fn": Name("(s) -> mean action", lambda w: w.models.actor.mean, ("gaussian", "deterministic")),
    "log_std_fn": Name("(s) -> log standard deviation", lambda w: lambda s: w.models.actor.net(s)[1], DENSITY),
    "log_prob_fn": Name("(s, a) -> log-density", lambda w: w.models.actor.log_prob, DENSITY),
    "old_log_prob_fn": Name("log-density of the previous policy", lambda w: w.models.old.log_prob, DENSITY),
    "entropy_fn": Name("(s) -> entropy", lambda w: w.models.actor.entropy, DENSITY),
    "sample_log_prob_fn": Name("(key, s) -> (a, log-density)", lambda w: w.sample_log_prob, DENSITY),
    "sample_fn": Name("(key, s) -> action of the trained policy", lambda w: w.sample("actor")),
    "old_sample_fn": Name("(key, s) -> action of the previous policy", lambda w: w.sample("old")),
    "behaviour_sample_fn": Name("(key, s) -> action of a model of the data", lambda w: w.sample("behaviour")),
    "q_fn": Name("(s, a) -> smallest head", lambda w: w.smallest("critic"), also=("critic_fn", "critic")),
    "q_heads_fn": Name(f"(s, a) -> {HEADS}", lambda w: w.models.critic),
    "target_q_fn": Name("smallest head of the averaged critic", lambda w: w.smallest("target_critic")),
    "target_q_heads_fn": Name("heads of the averaged critic", lambda w: w.models.target_critic),
    "value_fn": Name("(s) -> state value", lambda w: w.models.value, also=("v_value_fn",)),
    "s": Name("states (B, 2)", lambda w: w.batch.s, also=("obs", "state", "states", "observation", "observations")),
    "a": Name("actions of the batch (B, 2)", lambda w: w.batch.a, also=("action", "actions")),
    "next_s": Name("next states", lambda w: w.batch.next_s, also=("next_obs", "next_states")),
    "reward": Name("rewards (B,)", lambda w: w.batch.reward, also=("rewards", "r")),
    "advantage": Name("advantages (B,)", lambda w: w.batch.advantage, also=("advantages", "adv")),
    "returns": Name("returns (B,)", lambda w: w.batch.returns),
    "t": Name("noise levels (B,), 0 clean", lambda w: w.t, FIELD, ("time", "times", "timestep")),
    "noise": Name("standard normal (B, 2)", lambda w: w.noise, also=("eps", "epsilon", "z")),
    "x_t": Name("alpha(t) a + sigma(t) noise", lambda w: w.x_t, FIELD, ("xt", "noisy_actions")),
    "alpha_t": Name("alpha(t), (B, 1)", lambda w: w.coefficient("alpha")(w.t)[:, None], FIELD),
    "sigma_t": Name("sigma(t), (B, 1)", lambda w: w.coefficient("sigma")(w.t)[:, None], FIELD),
    "chain": Name("stored sampler states (K+1, B, 2) of the previous policy", lambda w: w.batch.chain, FIELD),
    "pair_t": Name("stored levels (N, B)", lambda w: w.pair_t, FIELD),
    "pair_eps": Name("stored noises (N, B, 2)", lambda w: w.batch.pair_eps, FIELD),
    "key": Name("random key", lambda w: w.key, also=("rng", "rng_key", "prng_key")),
    "log_temperature": Name("log of the trained temperature, a constant", lambda w: w.models.log_temperature),
    "models": Name("our interface: models.actor, .old, .critic, ...", lambda w: w.models),
    "batch": Name("our interface: batch.s, .a, .advantage, ...", lambda w: w.batch),
}
CANONICAL = {spelling: name for name, row in NAMES.items() for spelling in (name, *row.also)}
OF_PREVIOUS = ("advantage", "chain", "pair_t", "pair_eps")
"""Fields of a batch that only exist for actions of the previous policy."""


def for_policy(policy: str) -> list[str]:
    """Every accepted spelling for a policy kind."""
    return [spelling for spelling, name in CANONICAL.items() if policy in NAMES[name].policies]


def table(policy: str | None = None) -> list[tuple[str, str, str]]:
    """Rows (names, meaning, policy kinds) for help texts and pages."""
    return [
        (", ".join((name, *row.also)), row.meaning, "all" if row.policies == ALL else ", ".join(row.policies))
        for name, row in NAMES.items()
        if policy is None or policy in row.policies
    ]
