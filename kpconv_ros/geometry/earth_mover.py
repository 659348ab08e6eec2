# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Earth mover's distances of pairs of clouds with as many points: exactly, and by k-d cells (EM-kD).

"NeuralQAAD: An Efficient Differentiable Framework for Compressing High Resolution Consistent Point Clouds Datasets",
section 3.2.

Note:
    The equations sum over the points. Here distances are means over them, so that clouds of any size compare; with
    ``power`` 2, the mean squared distance, the figures of the paper's Table 1 have the size of its data sets.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from kpconv_ros.geometry.assignment import (
    AssignmentError,
    complete_exactly,
    keep_nearest,
    match_by_auction,
    match_exactly,
)
from kpconv_ros.geometry.kd_cells import kd_bounds, kd_order, num_kd_cells

CELL_SIZE = 1024
"""Points of a cell, section 4.2."""
Matcher = Callable[[Tensor, Tensor, float], Tensor]
"""Matches clouds ``(B, n, 3)`` with others, given the power of the distance; not always a bijection."""


def match_by_bids(one: Tensor, other: Tensor, power: float = 2.0) -> Tensor:
    """Match by 100 rounds of the auction, section 4.2; a point of ``other`` may be named twice.

    The least raise of a bid is 1 % of the mean cost of the best partners, so it suits any unit; the paper's is 1 in the
    unit of its data.
    """
    best = torch.cdist(one.detach(), other.detach()).amin(2).pow(power).mean()
    return match_by_auction(one, other, 100, max(0.01 * float(best), 1e-12), power)


def match_approximately(one: Tensor, other: Tensor, power: float = 2.0) -> Tensor:
    """Match by auction; who goes without is matched exactly with the points that are left: a bijection."""
    return complete_exactly(one, other, keep_nearest(one, other, match_by_bids(one, other, power)), power)


def match_in_cells(
    one: Tensor,
    other: Tensor,
    cell_size: int = CELL_SIZE,
    power: float = 2.0,
    matcher: Matcher = match_exactly,
    axes: tuple[int, ...] = (0, 1, 2),
) -> Tensor:
    """Match the points of each k-d cell with those of the same cell of the other cloud, as Eq. (14) does.

    Args:
        one: ``(B, n, 3)``.
        other: ``(B, n, 3)``.
        cell_size: Most points of a cell. Any n will do: cells differ by one point at most.
        power: Of the distance in the cost.
        matcher: How a cell is matched.
        axes: As of :func:`kpconv_ros.geometry.kd_cells.kd_order`.

    Returns:
        Rows of ``other`` for each point of ``one``, ``(B, n)`` int64.

    Raises:
        AssignmentError: If the clouds do not have the same number of points, as :func:`match_exactly` on its own.
    """
    if one.ndim != 3 or one.shape != other.shape:
        raise AssignmentError(f"expected clouds (B, n, 3) of one size, got {tuple(one.shape)}, {tuple(other.shape)}")
    cells = num_kd_cells(one.shape[1], cell_size)
    bounds = kd_bounds(one.shape[1], cells)
    rows, partners = (kd_order(cloud.detach(), cells, axes) for cloud in (one, other))
    ordered, targets = (c.detach().gather(1, o[..., None].expand_as(c)) for c, o in ((one, rows), (other, partners)))
    matches = torch.empty_like(rows)
    for first, end in zip(bounds, bounds[1:], strict=False):
        inside = matcher(ordered[:, first:end], targets[:, first:end], power)
        matches.scatter_(1, rows[:, first:end], partners[:, first:end].gather(1, inside))
    return matches


def matched_distances(one: Tensor, other: Tensor, matches: Tensor, power: float = 2.0) -> Tensor:
    """Return the mean of ``||p - q||^power`` over the matched points of each pair of clouds, ``(B,)``."""
    squared = (one - other.gather(1, matches[..., None].expand_as(one))).square().sum(2)
    return (squared if power == 2 else squared.pow(power / 2)).mean(1)


def emd(one: Tensor, other: Tensor, power: float = 2.0) -> Tensor:
    """Return the earth mover's distance of each pair of small clouds, Eq. (12) over the number of points, ``(B,)``.

    Args:
        one: ``(B, n, 3)``; time grows with n^3, 1,024 points take about a tenth of a second to one second.
        other: ``(B, n, 3)``.
        power: Of the distance in the cost: 1 for a distance in the unit of the points, 2 for a mean square.
    """
    return matched_distances(one, other, match_exactly(one, other, power), power)


def emkd(
    one: Tensor, other: Tensor, cell_size: int = CELL_SIZE, power: float = 2.0, matcher: Matcher = match_exactly
) -> Tensor:
    """Return the EM-kD of each pair of clouds, Eq. (14) over the number of points, ``(B,)``.

    An upper bound of :func:`emd` if the matcher gives bijections, which both of this package do.
    """
    return matched_distances(one, other, match_in_cells(one, other, cell_size, power, matcher), power)
