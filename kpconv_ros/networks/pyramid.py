# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The levels that a network works on: each a grid subsampling of the one before, with its neighbourhoods.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 3.3: the cell size doubles at every pooling layer.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from kpconv_ros.geometry.neighbors import find_nearest, find_neighbor_lists
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.neighborhood import Neighborhood


class Level(NamedTuple):
    """One resolution of a packed batch."""

    points: Tensor
    """``(N, 3)``, metres."""
    lengths: Tensor
    """``(B,)`` int64."""
    neighborhood: Neighborhood
    """Points of this level around points of this level."""
    pooling: Neighborhood | None
    """Points of this level around points of the next, coarser one; None at the last."""
    coarse_of_fine: Tensor | None
    """Nearest point of the next level, ``(N,)`` int64: nearest upsampling; None at the last."""


@torch.no_grad()
def build_pyramid(
    points: Tensor,
    lengths: Tensor,
    voxel_size: float,
    radii: tuple[float, ...],
    max_neighbors: tuple[int, ...] = (),
    pooling_radii: tuple[float, ...] = (),
) -> list[Level]:
    """Build the levels of a packed batch.

    Args:
        points: First level, one point a voxel, ``(N, 3)``, metres.
        lengths: ``(B,)`` int64.
        voxel_size: Cell of the first level, metres; it doubles from level to level.
        radii: Neighbourhood radius of each level, metres.
        max_neighbors: Largest neighbourhood of each level, nearest kept; all are kept if empty.
        pooling_radii: Those around the next level's points, for each level but the last; ``radii`` if empty.
    """
    levels, limits = [], max_neighbors or len(radii) * (None,)
    pooling_radii = pooling_radii or radii[:-1]
    for index, (radius, most) in enumerate(zip(radii, limits, strict=True)):
        own = _look(points, lengths, points, lengths, radius, most)
        if index == len(radii) - 1:
            levels.append(Level(points, lengths, own, None, None))
            break
        coarse_size = voxel_size * 2 ** (index + 1)
        coarse = grid_subsample(points, lengths, coarse_size)
        pooling = _look(coarse.points, coarse.lengths, points, lengths, pooling_radii[index], most)
        nearest = find_nearest(points, coarse.points, lengths, coarse.lengths, coarse_size)
        levels.append(Level(points, lengths, own, pooling, nearest))
        points, lengths = coarse.points, coarse.lengths
    return levels


def _look(
    queries: Tensor, query_lengths: Tensor, supports: Tensor, support_lengths: Tensor, radius: float, most: int | None
) -> Neighborhood:
    lists = find_neighbor_lists(queries, supports, query_lengths, support_lengths, radius, most)
    return Neighborhood(queries, supports, lists)
