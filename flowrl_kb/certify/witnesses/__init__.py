"""Witnesses: small problems on which two kinds of update differ, with a pair beside it that must not differ.

Every function returns (figure, control_figure): how far the laws, fields or updates of two kinds of method are apart,
and the same measure where they must agree, so that the measure is not vacuous. By quadrature; what each separates, and
the smallest figure that counts, stand in `taxonomy/witnesses/`.
"""

from __future__ import annotations

from collections.abc import Callable

from flowrl_kb.certify.witnesses import fields, first_order, laws, updates, values

__all__ = ["WITNESSES", "holds"]

WITNESSES: dict[str, Callable[[], tuple[float, float]]] = {
    "exponential-and-affine": laws.exponential_and_affine,
    "exponential-and-best-of-n": laws.exponential_and_best_of_n,
    "exponential-and-proximal": laws.exponential_and_proximal,
    "best-of-n-and-proximal": laws.best_of_n_and_proximal,
    "filter-and-exponential": laws.filter_and_exponential,
    "weights-and-none": laws.weights_and_none,
    "moments-of-exponential-and-affine": laws.moments_of_exponential_and_affine,
    "denoising-penalty": first_order.denoising_penalty,
    "four-optima": first_order.four_optima,
    "uniform-floor-and-exponential": laws.uniform_floor_and_exponential,
    "projection-direction": laws.projection_direction,
    "returns-and-their-mean": laws.returns_and_their_mean,
    "value-at-noisy-action-flat-reference": fields.naive_flat_reference,
    "value-at-noisy-action-data-reference": fields.naive_data_reference,
    "filtered-data": fields.filtered_data,
    "constant-value": fields.constant_value,
    "moved-previous-policy": fields.moved_previous_policy,
    "walls-of-a-box": fields.walls_of_a_box,
    "pull-at-the-maximiser": fields.pull_at_the_maximiser,
    "average-before-or-after-the-exponential": updates.average_before_or_after,
    "loss-space-of-a-ratio": updates.loss_space_of_a_ratio,
    "losses-of-state-values": values.losses_of_state_values,
    "returns-and-values": values.returns_and_values,
}


def holds(figure: float, control: float, at_least: float) -> bool:
    """A witness counts when its figure reaches the mark fixed beforehand and its control stays below a tenth of it."""
    return figure >= at_least and control < at_least / 10
