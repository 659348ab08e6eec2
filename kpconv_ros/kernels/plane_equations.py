# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Normal equations of point-to-plane distances. The NumPy truth is ``registration.solver.plane_information``."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def move_points(transform, points):  # type: ignore[no-untyped-def]
    """Move points ``(N, 3)`` by ``transform (4, 4)``, float64."""
    moved = np.empty((len(points), 3))
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for axis in range(3):
            row = transform[axis]
            moved[i, axis] = row[0] * x + row[1] * y + row[2] * z + row[3]
    return moved


@njit(nogil=True, cache=True)
def sum_plane_equations(source, moved, rotation, target, normals, nearest, squares, reach, robust):  # type: ignore[no-untyped-def]
    """Sum the equations of the pairs that are nearer than ``reach``.

    Args:
        source: ``(m, 3)`` float64, source frame.
        moved: The same in the target frame.
        rotation: Of the source in the target frame, ``(3, 3)``.
        target, normals: ``(M, 3)`` float64.
        nearest: Row of the target for each source point, ``(m,)``.
        squares: Squared distance to it.
        reach: Metres.
        robust: Whether distances weigh by Tukey's (1 - (d / reach)^2)^2, else all alike.

    Returns:
        Information ``(6, 6)``, gradient ``(6,)`` (translation first, motion of the source in its own frame), sum of the
        squared distances from the planes, number of pairs.
    """
    information, gradient, row = np.zeros((6, 6)), np.zeros(6), np.empty(6)
    total, count = 0.0, 0
    for i in range(len(source)):
        if not squares[i] < reach * reach:
            continue
        j = nearest[i]
        nx, ny, nz = normals[j, 0], normals[j, 1], normals[j, 2]
        distance = (
            nx * (moved[i, 0] - target[j, 0]) + ny * (moved[i, 1] - target[j, 1]) + nz * (moved[i, 2] - target[j, 2])
        )
        for axis in range(3):  # R^T n
            row[axis] = rotation[0, axis] * nx + rotation[1, axis] * ny + rotation[2, axis] * nz
        row[3] = source[i, 1] * row[2] - source[i, 2] * row[1]  # p x R^T n
        row[4] = source[i, 2] * row[0] - source[i, 0] * row[2]
        row[5] = source[i, 0] * row[1] - source[i, 1] * row[0]
        share = distance / reach
        weight = (1.0 - share * share) ** 2 if robust else 1.0
        for a in range(6):
            gradient[a] += weight * distance * row[a]
            for b in range(6):
                information[a, b] += weight * row[a] * row[b]
        total += distance * distance
        count += 1
    return information, gradient, total, count
