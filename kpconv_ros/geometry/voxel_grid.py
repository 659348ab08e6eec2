# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grid subsampling: one barycentre for every occupied cell of a regular grid.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 3.3, "Subsampling to deal with varying densities".
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kpconv_ros.geometry.packing import check_packed
from kpconv_ros.kernels import grid
from kpconv_ros.kernels.choice import takes_triton


class GridError(ValueError):
    """A cloud that cannot be laid on the grid."""


class Subsampled(NamedTuple):
    """Voxels of a packed batch."""

    points: Tensor
    """Barycentres, ``(V, 3)``, metres."""
    lengths: Tensor
    """Voxels of each cloud, ``(B,)`` int64."""
    features: Tensor | None
    """Mean features, ``(V, C)``."""
    labels: Tensor | None
    """Most frequent label (the smaller one in a tie), ``(V,)`` int64."""
    voxel_of_point: Tensor
    """Row of ``points`` that each input point fell into, ``(N,)`` int64."""


def grid_subsample(
    points: Tensor, lengths: Tensor, voxel_size: float, features: Tensor | None = None, labels: Tensor | None = None
) -> Subsampled:
    """Replace the points of each grid cell by their barycentre.

    Args:
        points: Packed positions, ``(N, 3)``, metres, finite.
        lengths: Points of each cloud, ``(B,)`` int64.
        voxel_size: Edge of a cell, metres. Cells are counted from multiples of it, so a cloud moved by whole cells
            gives the same voxels, moved.
        features: Packed features to average, ``(N, C)``.
        labels: Labels to vote on, ``(N,)`` int64, not negative.

    Returns:
        The voxels, in order of first appearance on the CPU and of their cells elsewhere.

    Raises:
        GridError: If the voxel size is not positive, or a cloud is not finite or spans more than 2^21 cells.
    """
    check_packed(points, lengths)
    if not voxel_size > 0:
        raise GridError(f"voxel_size: expected a positive length in metres, got {voxel_size}")
    if takes_triton(points):
        from kpconv_ros.geometry import on_gpu

        found = on_gpu.subsample(points, lengths, voxel_size, features)
        if found is not None:
            means, voxel_lengths, mean_features, voxel_of_point = found
            voted = None if labels is None else _vote(labels, voxel_of_point, len(means))
            return Subsampled(means, voxel_lengths, mean_features, voted, voxel_of_point)
    voxel_of_point, voxel_lengths = _number_voxels(points, lengths, voxel_size)
    num_voxels = int(voxel_lengths.sum())
    if points.device.type == "cpu":
        index = voxel_of_point.numpy()

        def mean(values: Tensor) -> Tensor:
            return torch.from_numpy(grid.mean_by_voxel(values.detach().float().numpy(), index, num_voxels))
    else:

        def mean(values: Tensor) -> Tensor:
            sums = values.new_zeros(num_voxels, values.shape[1], dtype=torch.float64)
            counts = torch.bincount(voxel_of_point, minlength=num_voxels)
            return (sums.index_add_(0, voxel_of_point, values.double()) / counts[:, None]).float()

    return Subsampled(
        mean(points),
        voxel_lengths,
        None if features is None else mean(features),
        None if labels is None else _vote(labels, voxel_of_point, num_voxels),
        voxel_of_point,
    )


def _number_voxels(points: Tensor, lengths: Tensor, voxel_size: float) -> tuple[Tensor, Tensor]:
    """Return the voxel of each point ``(N,)`` int64 and the voxels of each cloud ``(B,)`` int64."""
    # Points of real scans lie on the borders of cells: the cell comes from the point alone, whatever is around it, and
    # as `mapping` and the kernels of a GPU compute it.
    inverse, voxels, voxel_lengths, first = 1.0 / voxel_size, [], [], 0
    for cloud in points.detach().split(lengths.tolist()):
        if cloud.device.type == "cpu":
            cloud = (cloud if cloud.dtype == torch.float64 else cloud.float()).contiguous()
        bounds = _bounds(cloud)
        low = (bounds[0] * inverse).floor()
        span = float((bounds[1] * inverse - low).max())
        if not span < grid.MAX_CELLS - 1:
            raise GridError(f"points: expected finite and within {grid.MAX_CELLS} cells of {voxel_size} m, got {span}")
        if cloud.device.type == "cpu":
            found = grid.hash_cells(cloud.numpy(), np.zeros(3), inverse)
            voxel, count = torch.from_numpy(found[3]).long(), int(found[4])
        else:
            cells = ((cloud.double() * inverse).floor() - low).long()
            keys = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
            unique, voxel = torch.unique(keys, return_inverse=True)
            count = len(unique)
        voxels.append(voxel + first)
        voxel_lengths.append(count)
        first += count
    empty = torch.zeros(0, dtype=torch.int64, device=points.device)
    return torch.cat([*voxels, empty]), torch.tensor(voxel_lengths, dtype=torch.int64, device=points.device)


def _bounds(cloud: Tensor) -> Tensor:
    """Return the corners of the box around a cloud, ``(2, 3)`` float64; zeros for an empty one."""
    if not len(cloud):
        return torch.zeros(2, 3, dtype=torch.float64, device=cloud.device)
    if cloud.device.type == "cpu":
        return torch.from_numpy(grid.find_bounds(cloud.numpy()))
    return torch.stack(cloud.double().aminmax(dim=0))


def _vote(labels: Tensor, voxel_of_point: Tensor, num_voxels: int) -> Tensor:
    num_labels = int(labels.max()) + 1 if len(labels) else 1
    if labels.device.type == "cpu":
        best = grid.majority_by_voxel(labels.numpy(), voxel_of_point.numpy(), num_voxels, num_labels)
        return torch.from_numpy(best)
    counts = torch.bincount(voxel_of_point * num_labels + labels, minlength=num_voxels * num_labels)
    return counts.view(num_voxels, num_labels).argmax(1)
