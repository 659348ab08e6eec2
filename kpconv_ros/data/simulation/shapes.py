# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Solid shapes as rows of one array, so that compiled ray casting and NumPy placement share them.

A row holds kind, label, centre (x, y, z), half sizes (a, b, c), cos and sin of the yaw, reflectivity, two parameters
and a seed. Every kind fits inside its box of half sizes, which culling relies on. What the two parameters mean:

- ``TAPERED``: shrinkage of the half sizes a and b from bottom to top, as fractions. A box has (0, 0).
- ``CYLINDER`` (upright, radius a) and ``ELLIPSOID``: unused.
- ``FACADE``: width of a window bay and height of a storey, metres.
- ``SLATS``: distance between slats, metres, and the fraction of it that is filled.
- ``LEAVES`` (inside an ellipsoid) and ``HEDGE`` (inside a box): fraction of the small cells that hold a leaf; unused.
"""

import numpy as np
from numpy.typing import NDArray

Shapes = NDArray[np.float64]  # (P, COLUMNS)

KIND, LABEL, X, Y, Z, A, B, C, COS, SIN, REFLECTIVITY, P0, P1, SEED, COLUMNS = range(15)
TAPERED, CYLINDER, ELLIPSOID, FACADE, SLATS, LEAVES, HEDGE = range(7)


def shape(
    kind: int,
    label: int,
    center: tuple[float, float, float],
    half_sizes: tuple[float, float, float],
    reflectivity: float,
    yaw: float = 0.0,
    parameters: tuple[float, float] = (0.0, 0.0),
) -> list[float]:
    """One row: a solid of the given kind in the frame of its object, metres and radians."""
    return [kind, label, *center, *half_sizes, np.cos(yaw), np.sin(yaw), reflectivity, *parameters, 0.0]


def assemble(rows: list[list[float]], seed: int = 0) -> Shapes:
    """Stack rows to one object; ``seed`` varies windows and leaves between objects that are otherwise equal."""
    shapes = np.array(rows, dtype=np.float64).reshape(-1, COLUMNS)
    shapes[:, SEED] = seed + np.arange(len(shapes))
    return shapes


def place(shapes: Shapes, x: float, y: float, z: float, yaw: float) -> Shapes:
    """Move an object from its own frame to position (x, y, z), metres, and heading ``yaw``, radians."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    placed = shapes.copy()
    placed[:, X] = x + cos * shapes[:, X] - sin * shapes[:, Y]
    placed[:, Y] = y + sin * shapes[:, X] + cos * shapes[:, Y]
    placed[:, Z] += z
    placed[:, COS] = cos * shapes[:, COS] - sin * shapes[:, SIN]
    placed[:, SIN] = sin * shapes[:, COS] + cos * shapes[:, SIN]
    return placed


def merge(objects: list[Shapes]) -> Shapes:
    """Concatenate objects; none gives an empty array."""
    return np.concatenate(objects) if objects else np.empty((0, COLUMNS))
