# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Normals and surface variation of a scan, estimated once and shared by samplers."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels import grid
from kpconv_ros.kernels.surface import fit_planes, sum_moments, sum_neighbors
from kpconv_ros.registration.error import RegistrationError

Array = NDArray[Any]
CELL_SIZE = 0.5
"""Edge of the cells, metres. A plane is fitted to the 27 around a point: wide enough to join the rings of a lidar."""


class Surface(NamedTuple):
    """The plane around each point."""

    normals: Array
    """``(N, 3)`` float32, unit length, on the sensor's side; zero where too few points are near."""
    variation: Array
    """``(N,)`` float32, l0 / (l0 + l1 + l2) of rising eigenvalues: 0 on a plane, 1/3 where nothing has a direction
    (Pauly et al., "Efficient Simplification of Point-Sampled Surfaces", IEEE Visualization 2002)."""
    planarity: Array
    """``(N,)`` float32, (l1 - l0) / l2: near 0 on a line, whose variation is 0 as well."""


def check_points(points: Array, name: str = "points") -> Array:
    """Return positions ``(N, 3)`` as contiguous float32.

    Raises:
        RegistrationError: If the shape is another, or a coordinate is not finite.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise RegistrationError(f"{name}: expected shape (N, 3), got {points.shape}")
    points = np.require(points, np.float32, ["C", "W"])
    flat = points.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        is_surely_finite = np.isfinite(flat @ flat)  # quick, but large numbers overflow
    if not is_surely_finite and not np.isfinite(flat).all():
        raise RegistrationError(f"{name}: expected finite coordinates, got some that are not")
    return points


def hash_points(points: Array, cell_size: float) -> tuple[Any, Array]:
    """Number the occupied cells of a cloud, with an empty cell around it.

    Returns:
        What :func:`kpconv_ros.kernels.grid.hash_cells` returns, and the corner ``(3,)`` that cells count from.

    Raises:
        RegistrationError: If the cloud spans more than 2^21 cells, or the size is not positive.
    """
    if not cell_size > 0:
        raise RegistrationError(f"cell_size: expected a length above 0 m, got {cell_size}")
    bounds = grid.find_bounds(points) if len(points) else np.zeros((2, 3))
    low = (np.floor(bounds[0] / cell_size) - 1) * cell_size
    if not (span := float((bounds[1] - low).max() / cell_size)) < grid.MAX_CELLS - 2:
        raise RegistrationError(f"points: expected them within {grid.MAX_CELLS - 2} cells of {cell_size} m, got {span}")
    return grid.hash_cells(points, low, 1.0 / cell_size), low


def estimate_surface(points: Array, cell_size: float = CELL_SIZE) -> Surface:
    """Fit a plane to the neighbourhood of every point: that of its cell and of the 26 around it.

    Args:
        points: ``(N, 3)`` float32, metres, sensor frame, finite.
        cell_size: Metres.

    Raises:
        RegistrationError: If the shape is wrong, or a coordinate is not finite.
    """
    points = check_points(points)
    (keys, cells, shift, cell_of_point, num_cells), low = hash_points(points, cell_size)
    moments = sum_moments(points, cell_of_point, num_cells, low)
    planes = fit_planes(sum_neighbors(moments, keys, cells, shift), low)[cell_of_point]
    return Surface(planes[:, :3], planes[:, 3], planes[:, 4])
