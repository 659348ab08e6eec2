# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Removal of the sensor's own motion during a scan."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.geometry.se3 import motion_of_twist
from kpconv_ros.kernels.scan import move_by_time
from kpconv_ros.registration.error import RegistrationError

Array = NDArray[Any]
_NUM_MOTIONS = 33  # over a scan; between two the sensor turns so little that matrices may be interpolated


def deskew(points: Array, times: Array, twist: Array) -> Array:
    """Express each point in the sensor frame at the stamp, for a sensor that moved at a constant twist.

    Args:
        points: ``(N, 3)`` float32, metres, each in the sensor frame at its own time.
        times: ``(N,)``, seconds after the stamp (before it where negative), finite.
        twist: ``(6,)``, linear [m/s] then angular [rad/s] velocity in the sensor frame.

    Returns:
        ``(N, 3)`` float32, metres, sensor frame at the stamp.

    Raises:
        RegistrationError: If there is not a finite time for each point.
    """
    times = np.ascontiguousarray(times, np.float64)
    if times.shape != (len(points),):
        raise RegistrationError(f"times: expected shape ({len(points)},), got {times.shape}")
    if not len(times):
        return points
    start, end = float(times.min()), float(times.max())
    if not np.isfinite([start, end]).all():
        raise RegistrationError("times: expected finite seconds, got some that are not")
    step = max(end - start, 1e-9) / (_NUM_MOTIONS - 1)
    motions = np.stack([motion_of_twist(twist * (start + i * step)) for i in range(_NUM_MOTIONS)])
    moved: Array = move_by_time(np.require(points, np.float32, ["C", "W"]), times, start, step, motions)
    return moved
