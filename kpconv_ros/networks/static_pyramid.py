# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pyramid on a GPU in tensors of fixed sizes: nothing waits for the device, so a CUDA graph can hold it.

Each level has room for a number of points and of neighbours; how much was needed stays on the device beside the result
and tells afterwards whether the room was enough. The pyramid is that of :mod:`kpconv_ros.networks.pyramid` but for the
order of its points.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import CellTable, Frame, find_keys, sort_into_cells
from kpconv_ros.kernels.gpu.kernel_sum import Pairs, RowLists
from kpconv_ros.kernels.gpu.neighbors import MOST, find_nearest_few
from kpconv_ros.kernels.gpu.voxel_grid import average_by_voxel, first_of_voxel, group_by_voxel

DIAGONAL = math.sqrt(3) * 1.001  # cells from a point to the barycentre of its voxel, at most


@dataclass(frozen=True)
class Room:
    """Sizes of the tensors of a pyramid."""

    points: tuple[int, ...]
    """Of each level."""
    neighbors: tuple[int, ...]
    """Of each point of each level; more of them are dropped, the farthest first."""
    pooled: tuple[int, ...]
    """The same of the points of each level around those of the next, for each level but the last."""

    def is_enough(self, needs: tuple[int, ...], is_limited: bool) -> bool:
        """Return whether this is no less than what was needed, see :attr:`StaticPyramid.needs`.

        Args:
            needs: Points of the levels, neighbours, pooled neighbours.
            is_limited: Whether the neighbours are meant to be limited to their room.
        """
        held = self.points if is_limited else (*self.points, *self.neighbors, *self.pooled)
        return all(need <= have for need, have in zip(needs, held, strict=False))


class StaticLevel(NamedTuple):
    """One resolution of a batch; rows beyond its points stand for nothing."""

    points: Tensor
    """``(N, 3)``, metres."""
    pairs: Pairs
    """Points of this level around points of this level."""
    pooling: Pairs | None
    """Points of this level around points of the next, coarser one; None at the last."""
    coarse_of_fine: Tensor | None
    """Nearest point of the next level, ``(N,)`` int32; None at the last."""


class StaticPyramid(NamedTuple):
    """All levels, finest first."""

    levels: list[StaticLevel]
    needs: Tensor
    """What would have been needed: points of each level, largest neighbourhood of each, largest pooled one; int64."""


class _Placed(NamedTuple):
    """Points of a level, the cloud of each, and their cells of the level's radius."""

    points: Tensor
    clouds: Tensor
    keys: Tensor
    cells: CellTable


def _pairs(queries: Tensor, keys: Tensor, supports: _Placed, radius: float, most: int) -> tuple[Pairs, Tensor]:
    """Return who sees whom, and the size of the largest neighbourhood."""
    columns, counts = find_nearest_few(queries, keys, supports.cells, radius, most)
    begins = torch.arange(0, len(queries) * most, most, dtype=torch.int32, device=queries.device)
    lists = RowLists(begins, begins + counts.clamp(max=most), columns.flatten())
    return Pairs(queries, supports.points, lists), counts.amax()


def _place(points: Tensor, clouds: Tensor, frame: Frame, cell_size: float) -> _Placed:
    keys = find_keys(points, clouds, frame, cell_size)
    return _Placed(points, clouds, keys, sort_into_cells(points, keys))


def _subsample(fine: _Placed, frame: Frame, cell_size: float, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return barycentres, the cloud of each, and how many there are."""
    runs = group_by_voxel(find_keys(fine.points, fine.clouds, frame, cell_size), most)
    clouds = first_of_voxel(fine.clouds, runs, len(frame.low))
    return average_by_voxel(fine.points, runs), clouds, runs.total[0]


def build_static_pyramid(
    points: Tensor,
    clouds: Tensor,
    frame: Frame,
    voxel_size: float,
    radii: tuple[float, ...],
    pooling_radii: tuple[float, ...],
    room: Room,
) -> StaticPyramid:
    """Build the levels of a batch.

    Args:
        points: First level, one point a voxel, ``(N, 3)`` float32, metres; rows that are no points fill it up.
        clouds: Cloud of each point, ``(N,)`` int64; B for rows that are no points.
        frame: Of the B clouds.
        voxel_size: Cell of the first level, metres; it doubles from level to level.
        radii: Neighbourhood radius of each level, metres.
        pooling_radii: Those around the next level's points, for each level but the last.
        room: Sizes; the first level has N points.
    """
    level = _place(points, clouds, frame, radii[0])
    levels, counts, own_sizes, pooled_sizes = [], [(clouds < len(frame.low)).sum()], [], []
    for j, radius in enumerate(radii):
        pairs, largest = _pairs(level.points, level.keys, level, radius, min(room.neighbors[j], MOST))
        own_sizes.append(largest)
        if j == len(radii) - 1:
            levels.append(StaticLevel(level.points, pairs, None, None))
            break
        coarse_size = voxel_size * 2 ** (j + 1)
        voxels, of_voxel, count = _subsample(level, frame, coarse_size, room.points[j + 1])
        coarse = _place(voxels, of_voxel, frame, radii[j + 1])
        fine = level if pooling_radii[j] == radius else _place(level.points, level.clouds, frame, pooling_radii[j])
        keys = find_keys(coarse.points, coarse.clouds, frame, pooling_radii[j])
        pooling, largest = _pairs(coarse.points, keys, fine, pooling_radii[j], min(room.pooled[j], MOST))
        levels.append(
            StaticLevel(level.points, pairs, pooling, _nearest(level, coarse, frame, coarse_size, radii[j + 1]))
        )
        counts.append(count)
        pooled_sizes.append(largest)
        level = coarse
    return StaticPyramid(levels, torch.stack([size.long() for size in (*counts, *own_sizes, *pooled_sizes)]))


def _nearest(fine: _Placed, coarse: _Placed, frame: Frame, coarse_size: float, cell_size: float) -> Tensor:
    """Return the coarse point nearest to each fine one: at most as far as the barycentre of its own voxel."""
    reach = DIAGONAL * coarse_size
    if cell_size < reach:
        cell_size, coarse = reach, _place(coarse.points, coarse.clouds, frame, reach)
    keys = find_keys(fine.points, fine.clouds, frame, cell_size)
    rows, _ = find_nearest_few(fine.points, keys, coarse.cells, reach, 1)
    return rows[:, 0].clamp(max=max(len(coarse.points) - 1, 0))  # rows that are no points have none
