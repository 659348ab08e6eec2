# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""QAAD: which point of a target each folded point is drawn to, so that neighbours are drawn to neighbours.

"NeuralQAAD: An Efficient Differentiable Framework for Compressing High Resolution Consistent Point Clouds Datasets",
section 3.4: a first matching by k-d cells (Algorithm 1) and swaps during the training (Algorithm 2).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kpconv_ros.geometry.assignment import AssignmentError, complete_randomly, keep_nearest, match_exactly
from kpconv_ros.geometry.distances import nearest_rows
from kpconv_ros.geometry.earth_mover import CELL_SIZE, Matcher, match_in_cells
from kpconv_ros.kernels.qaad import swap_matches


def assign_greedily(
    folded: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    cell_size: int = CELL_SIZE,
    matcher: Matcher = match_exactly,
) -> Tensor:
    """Match folded clouds with their targets by k-d cells: ``QAAD greedy``, Algorithm 1.

    Args:
        folded: Images of the whole input cloud, ``(B, M, 3)``.
        targets: ``(B, M, 3)``.
        generator: Draws the partners of what is left over; nothing is where the matcher gives bijections.
        cell_size: Most points of a cell.
        matcher: How a cell is matched; the paper takes :func:`~kpconv_ros.geometry.earth_mover.match_by_bids`.

    Returns:
        Row of the target for each folded point, a bijection for each cloud, ``(B, M)`` int64.
    """
    matches = match_in_cells(folded, targets, cell_size, 2.0, matcher)
    return complete_randomly(keep_nearest(folded, targets, matches), generator)


class Reassignment(NamedTuple):
    """What swaps made of a matching."""

    slots: Tensor
    """New partner of each folded point, as a row of the targets that were given, ``(B, n)`` int64."""
    swaps: int
    """How many were accepted, over all clouds."""


def reassign(folded: Tensor, targets: Tensor) -> Reassignment:
    """Let folded points take the targets that are nearest to them: ``QAAD reassignment``, Algorithm 2.

    A point swaps with the owner of that target if the sum of the two squared distances falls, so every swap lowers the
    mean squared distance, Eq. (15). Points are asked one after the other. The subset of the target that the paper
    searches is here the targets of the folded points themselves, so all images that a swap needs are known.

    Args:
        folded: Images of some points of the input cloud, ``(B, n, 3)``.
        targets: Their partners so far, row by row, ``(B, n, 3)``.

    Raises:
        AssignmentError: If shapes differ.

    Note:
        Algorithm 2 also swaps where the sum stays the same; that would change matches to no end.
    """
    if folded.ndim != 3 or folded.shape != targets.shape:
        shapes = f"{tuple(folded.shape)}, {tuple(targets.shape)}"
        raise AssignmentError(f"expected clouds (B, n, 3) of one size, got {shapes}")
    count = folded.shape[1]
    arrays = [cloud.detach().float().cpu().contiguous() for cloud in (folded, targets)]
    nearest = nearest_rows(*arrays).numpy()
    slots = np.tile(np.arange(count), (len(folded), 1))
    clouds = zip(*(cloud.numpy() for cloud in arrays), nearest, slots, strict=True)
    swaps = sum(swap_matches(*cloud) for cloud in clouds)
    return Reassignment(torch.from_numpy(slots).to(folded.device), swaps)
