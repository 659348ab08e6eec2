# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scan as patches for a network: voxels, described one by one, in upright columns on a grid that scans share.

A column is known by its own centre and fixed size alone. Its contents never move or scale it, so that two scans of one
place give the same column (Lang et al., "SampleNet", CVPR 2020, arXiv:1912.03663, registers whole objects instead).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.patches import sort_into_columns
from kpconv_ros.kernels.sampling import pick_nearest_to_centroids
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.surface import Surface, check_points, hash_points

Array = NDArray[Any]
FEATURES = ("log variation", "planarity", "|n_z|", "height", "log range", "cosine of incidence")
"""What is known of a voxel besides its position."""


class Voxels(NamedTuple):
    """One original point for each occupied voxel of a scan."""

    rows: Array
    """Row of the original cloud, ``(V,)`` int64: the point nearest to the mean of those in the voxel."""
    points: Array
    """``(V, 3)`` float32, metres, sensor frame."""
    normals: Array
    """``(V, 3)`` float32, sensor frame, zero where unknown."""
    features: Array
    """:data:`FEATURES`, ``(V, 6)`` float32, each of the order of 1."""


class Columns(NamedTuple):
    """Voxels sorted by column; empty columns are left out."""

    rows: Array
    """Rows of the voxels, column by column, ``(M,)`` int64."""
    starts: Array
    """First place in ``rows`` of each column, ``(C + 1,)`` int64."""
    centers: Array
    """``(C, 3)`` float32, metres, shared frame: middle of the column, on the ground."""


def describe_voxels(points: Array, surface: Surface, voxel_size: float, min_range: float = 2.5) -> Voxels:
    """Pick and describe a point in each occupied voxel.

    Args:
        points: ``(N, 3)`` float32, metres, sensor frame, z up, finite.
        surface: Planes around them.
        voxel_size: Edge of a voxel, metres.
        min_range: Points nearer than this show what carries the sensor; metres.

    Raises:
        RegistrationError: If the shape is wrong, or a coordinate is not finite.
    """
    points = check_points(points)
    ranges = np.linalg.norm(points, axis=1)
    far = np.flatnonzero(ranges >= min_range)
    (*_, voxel_of_point, num_voxels), _ = hash_points(points[far], voxel_size)
    rows = far[pick_nearest_to_centroids(points[far], voxel_of_point, num_voxels)]
    picked, normals = points[rows], surface.normals[rows]
    features = np.stack(
        [
            np.log10(surface.variation[rows] + 1e-4) + 2.0,
            surface.planarity[rows],
            np.abs(normals[:, 2]),
            (picked[:, 2] - ground_height(picked)) / 3.0,
            np.log(ranges[rows] / 10.0),
            np.abs((normals * picked).sum(1)) / ranges[rows],
        ],
        axis=1,
    )
    return Voxels(rows, picked, normals, features.astype(np.float32))


def ground_height(points: Array, reach: float = 10.0) -> float:
    """Estimate the height of the ground around the sensor: the 5th percentile within ``reach`` metres; 0 of nothing."""
    near = np.abs(points[:, :2]).max(1, initial=0.0) < reach
    return float(np.percentile(points[near, 2], 5)) if near.any() else 0.0


def cut_columns(points: Array, cell_size: float, reach: float, ground: float) -> Columns:
    """Sort points into the columns of the square around the origin of a frame that scans share.

    Args:
        points: ``(V, 3)`` float32, metres, shared frame, z up.
        cell_size: Edge of a column, metres.
        reach: Half the edge of the square, metres: a multiple of the cell.
        ground: Height of the ground in that frame, metres.
    """
    num_side = round(2 * reach / cell_size)
    if num_side < 1 or abs(num_side * cell_size - 2 * reach) > 1e-6:
        raise RegistrationError(f"reach: expected half a whole number of cells of {cell_size} m, got {reach}")
    starts, rows = sort_into_columns(points, reach, cell_size, num_side)
    used = np.flatnonzero(np.diff(starts))
    middles = (np.stack(np.divmod(used, num_side), axis=1) + 0.5) * cell_size - reach
    centers = np.column_stack([middles, np.full(len(used), ground)]).astype(np.float32)
    return Columns(rows, np.append(starts[used], len(rows)), centers)


def pad_columns(columns: Columns, size: int) -> Array:
    """Choose ``size`` rows of each column, evenly along it; a column with fewer repeats some. ``(C, size)`` int64."""
    counts = np.diff(columns.starts)
    steps = (np.arange(size) * counts[:, None]) // size  # (C, size)
    return np.asarray(columns.rows[columns.starts[:-1, None] + steps])
