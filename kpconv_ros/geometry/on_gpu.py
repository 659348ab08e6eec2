# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Voxels and neighbours of packed batches by the Triton kernels, for tensors that they take.

Imported only where there are such tensors. Outputs have exact sizes, so each function waits for the device once or
twice; networks that must not wait use the kernels themselves.
"""

import math

import torch
from torch import Tensor

from kpconv_ros.geometry.packing import offsets_of
from kpconv_ros.kernels.gpu import neighbors, sampling, voxel_grid
from kpconv_ros.kernels.gpu.cells import CellTable, find_keys, frame_of, sort_into_cells


def _clouds(lengths: Tensor, num_points: int) -> Tensor:
    """Return the cloud of each point, ``(N,)`` int64, without waiting."""
    rows = torch.arange(num_points, device=lengths.device)
    return torch.searchsorted(lengths.cumsum(0), rows, right=True)


def _plain(points: Tensor) -> Tensor:
    return points.detach().float().contiguous()


def subsample(
    points: Tensor, lengths: Tensor, voxel_size: float, features: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor] | None:
    """Do as :func:`.voxel_grid.grid_subsample`: means, lengths, mean features, voxel of each point.

    Returns None for clouds that are not finite or do not fit into the keys side by side.
    """
    points, clouds = _plain(points), _clouds(lengths, len(points))
    frame = frame_of(points, clouds, len(lengths))
    if not frame.fits(voxel_size):
        return None
    runs = voxel_grid.group_by_voxel(find_keys(points, clouds, frame, voxel_size), len(points))
    num_voxels = int(runs.total)
    runs = runs._replace(begins=runs.begins[:num_voxels], ends=runs.ends[:num_voxels])
    of_voxel = voxel_grid.first_of_voxel(clouds, runs, len(lengths))
    counts = torch.bincount(of_voxel, minlength=len(lengths))
    means = None if features is None else voxel_grid.average_by_voxel(_plain(features), runs)
    return voxel_grid.average_by_voxel(points, runs), counts, means, runs.voxel_of_point


def _lay_out(
    queries: Tensor, supports: Tensor, query_lengths: Tensor, support_lengths: Tensor, cell_size: float
) -> tuple[Tensor, Tensor, CellTable] | None:
    """Return queries, their keys and the cells of the supports; None if those do not fit."""
    num_queries = len(queries)
    points = _plain(torch.cat([queries, supports]))
    clouds = torch.cat([_clouds(query_lengths, num_queries), _clouds(support_lengths, len(supports))])
    frame = frame_of(points, clouds, len(query_lengths))
    if not frame.fits(cell_size):
        return None
    keys = find_keys(points, clouds, frame, cell_size)
    return points[:num_queries], keys[:num_queries], sort_into_cells(points[num_queries:], keys[num_queries:])


def search_radius(
    queries: Tensor, supports: Tensor, query_lengths: Tensor, support_lengths: Tensor, radius: float, most: int | None
) -> tuple[Tensor, Tensor] | None:
    """Do as :func:`.neighbors.find_neighbor_lists`: row starts and columns, int32.

    Returns None for clouds that are not finite or do not fit into the keys, and for more neighbours than are sorted.
    """
    if most is not None and not 1 <= most <= neighbors.MOST:
        return None
    search = _lay_out(queries, supports, query_lengths, support_lengths, radius)
    if search is None:
        return None
    if most is None:
        counts = neighbors.count_neighbors(*search, radius)
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0, dtype=torch.int32)])
        return starts, neighbors.list_neighbors(*search, radius, starts, int(starts[-1]))
    padded, counts = neighbors.find_nearest_few(*search, radius, most)
    starts = torch.cat([counts.new_zeros(1), counts.clamp(max=most).cumsum(0, dtype=torch.int32)])
    return starts, padded[padded < len(supports)]


def search_nearest(
    queries: Tensor, supports: Tensor, query_lengths: Tensor, support_lengths: Tensor, reach: float
) -> Tensor | None:
    """Return the nearest support of each query, ``(M,)`` int64; None if one has none within ``reach`` metres."""
    if not (math.isfinite(reach) and reach > 0):
        return None
    search = _lay_out(queries, supports, query_lengths, support_lengths, reach)
    if search is None:
        return None
    rows, counts = neighbors.find_nearest_few(*search, reach, 1)
    return rows[:, 0].long() if bool((counts > 0).all()) else None


def search_k_nearest(
    queries: Tensor, supports: Tensor, query_lengths: Tensor, support_lengths: Tensor, k: int
) -> Tensor:
    """Do as :func:`.neighbors.find_k_nearest`, by all distances; each cloud has k supports."""
    starts = offsets_of(support_lengths)
    clouds = _clouds(query_lengths, len(queries))
    return sampling.find_k_nearest(_plain(queries), _plain(supports), starts[:-1][clouds], starts[1:][clouds], k)
