# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From where a picture of a cloud is taken."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.floating[Any]]


class View(NamedTuple):
    """Points as a camera sees them, farthest first: pixels-like coordinates, order of drawing, relative size."""

    across: npt.NDArray[np.float64]
    up: npt.NDArray[np.float64]
    order: npt.NDArray[np.int64]
    size: npt.NDArray[np.float64]


def look_from_behind(points: Points, azimuth: float = 0.45, height: float = 12.0, distance: float = 20.0) -> View:
    """Project points by a pin-hole camera that looks down at the sensor from behind.

    Args:
        points: Positions around the sensor, ``(N, 3)`` metres, all finite.
        azimuth: Direction in which the camera looks, radians from the x axis.
        height: Height of the camera above the sensor [m].
        distance: How far the camera stands behind the sensor [m].

    Returns:
        The view; points behind the camera are not in its order.
    """
    eye = np.array([-distance * np.cos(azimuth), -distance * np.sin(azimuth), height])
    target = np.array([6.0 * np.cos(azimuth), 6.0 * np.sin(azimuth), -1.0])
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    relative = points.astype(np.float64) - eye
    depth = relative @ forward  # (N,)
    safe_depth = np.maximum(depth, 1.0)
    across = relative @ right / safe_depth
    up = relative @ np.cross(right, forward) / safe_depth
    seen = np.flatnonzero((depth > 4.0) & (np.abs(across) < 0.75) & (np.abs(up) < 0.55))
    return View(across, up, seen[np.argsort(-depth[seen], kind="stable")], np.clip(distance / safe_depth, 0.25, 2.5))
