# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pieces of meshes. A mesh is an array of triangles, ``(T, 3, 3)`` float64: triangle, corner, coordinate."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Triangles = NDArray[np.float64]
SIDES = 16  # of what is round


def loft(bottom: ArrayLike, top: ArrayLike, caps: tuple[bool, bool] = (True, True)) -> Triangles:
    """Join two outlines of as many corners, ``(P, 3)`` each, by a band of triangles.

    Args:
        bottom: Corners in order.
        top: Corners in order; corner i is joined with corner i of ``bottom``.
        caps: Whether bottom and top are closed, by triangles around their middles.
    """
    low, high = np.asarray(bottom, np.float64), np.asarray(top, np.float64)
    low_next, high_next = np.roll(low, -1, 0), np.roll(high, -1, 0)
    parts = [np.stack([low, low_next, high], 1), np.stack([low_next, high_next, high], 1)]
    for closed, ring, following in ((caps[0], low, low_next), (caps[1], high, high_next)):
        if closed:
            parts.append(np.stack([ring, following, np.broadcast_to(ring.mean(0), ring.shape)], 1))
    return np.concatenate(parts)


def frustum(
    low: Sequence[float], high: Sequence[float], z: tuple[float, float], caps: tuple[bool, bool] = (True, True)
) -> Triangles:
    """Return a box whose bottom and top differ: rectangles ``(x0, x1, y0, y1)`` at the heights ``z``."""
    corners = [
        [(x0, y0, height), (x1, y0, height), (x1, y1, height), (x0, y1, height)]
        for (x0, x1, y0, y1), height in zip((low, high), z, strict=True)
    ]
    return loft(corners[0], corners[1], caps)


def box(center: Sequence[float], size: Sequence[float]) -> Triangles:
    """Return a box with its sides along the axes."""
    (x, y, z), (a, b, c) = center, (half / 2 for half in size)
    rectangle = (x - a, x + a, y - b, y + b)
    return frustum(rectangle, rectangle, (z - c, z + c))


def extrude(outline: ArrayLike, y: tuple[float, float]) -> Triangles:
    """Return a prism along y. The outline ``(P, 2)``, x and z, is seen whole from its middle."""
    flat = np.asarray(outline, np.float64)
    ends = [np.stack([flat[:, 0], np.full(len(flat), side), flat[:, 1]], 1) for side in y]
    return loft(ends[0], ends[1])


def revolve(profile: ArrayLike, sides: int = SIDES) -> Triangles:
    """Turn a profile ``(P, 2)``, radius and height, about the z axis; its ends stay open where the radius is not 0."""
    radii, heights = np.asarray(profile, np.float64).T
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    rings = [np.column_stack([radius * circle, np.full(sides, z)]) for radius, z in zip(radii, heights, strict=True)]
    bands = [loft(low, high, (False, False)) for low, high in zip(rings, rings[1:])]
    return np.concatenate(bands)


def cylinder(radius: float, z: tuple[float, float], sides: int = SIDES) -> Triangles:
    """Return an upright cylinder about the z axis, closed."""
    return revolve([(0, z[0]), (radius, z[0]), (radius, z[1]), (0, z[1])], sides)


def ellipsoid(radii: Sequence[float], rings: int = 8) -> Triangles:
    """Return an ellipsoid around the origin."""
    polar = np.linspace(0, np.pi, rings + 1)
    sphere = revolve(np.stack([np.sin(polar), -np.cos(polar)], 1))
    scaled: Triangles = sphere * np.asarray(radii, np.float64)
    return scaled


def turn(mesh: Triangles, axis: int, angle: float) -> Triangles:
    """Turn a mesh about the x, y or z axis (0, 1, 2) by an angle in radians."""
    rotation, (i, j) = np.eye(3), [(1, 2), (2, 0), (0, 1)][axis]
    rotation[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    turned: Triangles = mesh @ rotation.T
    return turned


def move(mesh: Triangles, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Triangles:
    """Shift a mesh."""
    moved: Triangles = mesh + np.array([x, y, z])
    return moved


def four_legs(x: float, y: float, height: float, leg: float, splay: float = 0.0) -> Triangles:
    """Return square legs of width ``leg`` under the corners (+-x, +-y), from the ground up to ``height``.

    Args:
        x: Half the distance of the legs along x.
        y: Along y.
        height: Of the legs.
        leg: Their width.
        splay: How much farther out they stand on the ground.
    """

    def rectangle(center_x: float, center_y: float) -> tuple[float, float, float, float]:
        return center_x - leg / 2, center_x + leg / 2, center_y - leg / 2, center_y + leg / 2

    return np.concatenate(
        [
            frustum(rectangle(i * (x + splay), j * (y + splay)), rectangle(i * x, j * y), (0, height))
            for i in (-1, 1)
            for j in (-1, 1)
        ]
    )
