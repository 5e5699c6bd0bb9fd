"""Which of our methods stands beside which agent of the peer, and what makes the work of one update the same.

Same: batch, dimensions, widths, depth and activations of every network, critics, candidates, denoising steps, how often
actors and critics are updated. Not the same: time embeddings, the layer norms of FQL's critics, and how often averages
follow (every update here; every second one in the peer's TD3, every fifth for the actors of its Diffusion-QL and DAC).
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Pairing(NamedTuple):
    """The peer's agent class, its configuration file, our method or variant, and our settings that match it."""

    agent: str
    config: str
    ours: str
    settings: dict[str, Any] = {}


ONLINE, OFFLINE = "examples/online/config/mujoco/algo", "examples/offline/config/d4rl/algo"
SMALL, MIDDLE, LARGE = (256, 256), (256, 256, 256), (512, 512, 512, 512)

RELU = {"hidden": SMALL, "activation": "relu"}
ONE = {"hidden": MIDDLE, "critic_hidden": SMALL, "critic_activation": "relu"}
"""Networks of the diffusion agents of the online suite."""

PAIRINGS: dict[str, Pairing] = {
    "sac": Pairing("SACAgent", f"{ONLINE}/sac.yaml", "sac", RELU),
    "td3": Pairing("TD3Agent", f"{ONLINE}/td3.yaml", "td3", {**RELU, "actor_every": 2}),
    "qsm": Pairing("QSMAgent", f"{ONLINE}/qsm.yaml", "qsm:flow-rl", ONE),
    "sdac": Pairing("SDACAgent", f"{ONLINE}/sdac.yaml", "sdac:flow-rl", {**ONE, "actor_every": 1}),
    "idem": Pairing("IDEMAgent", f"{ONLINE}/idem.yaml", "idem", ONE),
    "dpmd": Pairing("DPMDAgent", f"{ONLINE}/dpmd.yaml", "dpmd", {**ONE, "actor_every": 1, "candidates": 64}),
    "iql": Pairing("IQLAgent", f"{OFFLINE}/iql.yaml", "iql", RELU),
    "dql": Pairing("DQLAgent", f"{OFFLINE}/dql.yaml", "dql", {"hidden": MIDDLE}),
    "dac": Pairing("DACAgent", f"{OFFLINE}/dac.yaml", "dac", {"hidden": MIDDLE, "heads": 10}),
    "fql": Pairing("FQLAgent", f"{OFFLINE}/fql.yaml", "fql", {"hidden": LARGE, "activation": "gelu"}),
}
BATCH, STATE, ACTION = 256, 17, 6
"""Of all agents: rows of a batch, dimensions of states and actions (those of HalfCheetah)."""
BATCHES = 16
"""Batches on the device, taken in turn."""
PERIOD = 10
"""Updates of one call: a whole number of the periods of every agent's schedule."""
