"""Which of our methods stands beside which agent of the peer, and what makes the work of one update the same.

Same: batch, dimensions, widths, depth and activations of every network, critics, candidates, denoising steps, how often
actors and critics are updated; what the peer leaves to the task is what it has for HalfCheetah. Not the same: time
embeddings, with which its fields have a tenth to a fifth more weights than ours (FQL's and DTQL's as many) and BDPO's
step critics a fifth; its online fields embed the state alone by two layers of 128, where ours pass state, action and
time through such layers; the layer norms of FQL's and DTQL's critics, IVR's value and BDPO's step critics; trained
temperatures and added noise of DPMD and GeMPO, which ours lack (`dpmd:flow-rl` and `gempo:flow-rl` have both, but draw
candidates for each loss anew); clipped gradients of QVPO, which ours add; 16 noises of DriftPO's map, 6 of ours; and
how often averages follow (every network's at every update here; at every second one in the peer's TD3, at every fifth
for the actors of its Diffusion-QL, DAC and BDPO).
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Pairing(NamedTuple):
    """The peer's agent class, its configuration file, our method or variant, and our settings that match it.

    `theirs` is what the peer's file leaves to its task scripts.
    """

    agent: str
    config: str
    ours: str
    settings: dict[str, Any] = {}
    theirs: dict[str, Any] = {}


ONLINE, OFFLINE = "examples/online/config/mujoco/algo", "examples/offline/config/d4rl/algo"
SMALL, MIDDLE, LARGE = (256, 256), (256, 256, 256), (512, 512, 512, 512)
STATES = (128, 128)
"""Layers of the peer's online fields that come before those of its configuration."""

RELU = {"hidden": SMALL, "activation": "relu"}
CRITIC = {"critic_hidden": SMALL, "critic_activation": "relu"}
"""Critics of the online suite."""
ONE = {"hidden": STATES + MIDDLE, **CRITIC}
"""Networks of the diffusion agents of the online suite."""
WEIGHTED = {**ONE, "actor_every": 1, "candidates": 64}
CHEETAH = {"alpha": 1.0, "gamma": 0.0, "expectile": 0.7, "lr": 3e-4, "lr_decay": False}
"""DTQL on halfcheetah-medium; with another gamma it has a term that ours lacks."""

PAIRINGS: dict[str, Pairing] = {
    "sac": Pairing("SACAgent", f"{ONLINE}/sac.yaml", "sac", RELU),
    "td3": Pairing("TD3Agent", f"{ONLINE}/td3.yaml", "td3", {**RELU, "actor_every": 2}),
    "qsm": Pairing("QSMAgent", f"{ONLINE}/qsm.yaml", "qsm:flow-rl", ONE),
    "sdac": Pairing("SDACAgent", f"{ONLINE}/sdac.yaml", "sdac:flow-rl", {**ONE, "actor_every": 1}),
    "idem": Pairing("IDEMAgent", f"{ONLINE}/idem.yaml", "idem", ONE),
    "dpmd": Pairing("DPMDAgent", f"{ONLINE}/dpmd.yaml", "dpmd", WEIGHTED),
    "gempo_exp": Pairing("GeMPOAgent", f"{ONLINE}/gempo_exp.yaml", "gempo:exp", WEIGHTED),
    "gempo_linear": Pairing("GeMPOAgent", f"{ONLINE}/gempo_linear.yaml", "gempo", WEIGHTED),
    "gempo_square": Pairing("GeMPOAgent", f"{ONLINE}/gempo_square.yaml", "gempo:square", WEIGHTED),
    "qvpo": Pairing(
        "QVPOAgent",
        f"{ONLINE}/qvpo.yaml",
        "qvpo:flow-rl",
        {"hidden": STATES + SMALL, **CRITIC, "candidates": 64, "floor_samples": 10, "backup_of": 4},
    ),
    "dacer": Pairing("DACERAgent", f"{ONLINE}/dacer.yaml", "dacer:flow-rl", {**ONE, "actor_every": 2}),
    "driftpo": Pairing(
        "DriftPOAgent",
        f"{ONLINE}/driftpo.yaml",
        "driftpo",
        {"hidden": MIDDLE, **CRITIC, "heads": 5, "entropy_samples": 32},
    ),
    "iql": Pairing("IQLAgent", f"{OFFLINE}/iql.yaml", "iql", RELU),
    "ivr": Pairing("IVRAgent", f"{OFFLINE}/ivr.yaml", "eql", RELU),
    "dql": Pairing("DQLAgent", f"{OFFLINE}/dql.yaml", "dql", {"hidden": MIDDLE}),
    "dac": Pairing("DACAgent", f"{OFFLINE}/dac.yaml", "dac", {"hidden": MIDDLE, "heads": 10}),
    "fql": Pairing("FQLAgent", f"{OFFLINE}/fql.yaml", "fql", {"hidden": LARGE, "activation": "gelu"}),
    "dtql": Pairing(
        "DTQLAgent",
        f"{OFFLINE}/dtql.yaml",
        "dtql",
        {"hidden": MIDDLE, "behaviour_hidden": (256, *MIDDLE), "actor_activation": "relu"},
        CHEETAH,
    ),
    "bdpo": Pairing(
        "BDPOAgent",
        f"{OFFLINE}/bdpo.yaml",
        "bdpo",
        {
            "hidden": (256, *MIDDLE),
            **{"critic_hidden": MIDDLE, "step_critic_hidden": MIDDLE, "heads": 10},
            **{"steps": 5, "backup_of": 10, "step_samples": 10, "actor_every": 5, "behaviour_every": 5},
        },
    ),
}
# Not here: NC-LQL, whose peer walks along two critics and regresses both on noised actions, where ours has one energy,
# half of the work; TD7 and agents with learned representations, which ours cannot run; on-policy agents, whose loop is
# another one.
BATCH, STATE, ACTION = 256, 17, 6
"""Of all agents: rows of a batch, dimensions of states and actions (those of HalfCheetah)."""
BATCHES = 16
"""Batches on the device, taken in turn."""
PERIOD = 10
"""Updates of one call: a whole number of the periods of every agent's schedule."""
