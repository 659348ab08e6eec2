# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ball of voxels, as a network takes it."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]


class Sphere(NamedTuple):
    """A ball cut out of the map, as a network takes it."""

    points: Array
    """``(M, 3)`` float32, metres, relative to the centre."""
    intensity: Array
    """``(M,)`` float32."""
    ranges: Array
    """Mean distance from which each voxel was seen, ``(M,)`` float32, metres."""
    voxels: Array
    """``(M,)`` int64 rows of the map."""
    colors: Array | None = None
    """Red, green and blue, ``(M, 3)`` float32, 0..1, where they are known; a map of live scans has none."""


class PickedSphere(NamedTuple):
    """A sphere to run the network on."""

    sphere: Sphere
    center: Array
    """``(3,)`` float64, metres, map frame."""
    reach: float
    """Distance to which the sphere is complete, metres: its radius, or less if it was too full."""
