# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scan as odometry takes it: checked, without what is out of range, and with times about its middle."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.kernels.scan import keep_in_range
from kpconv_ros.registration.error import RegistrationError

Array = NDArray[Any]
_LONGEST_SCAN = 10.0  # seconds; times beyond it have another unit or count from another moment


class PreparedScan(NamedTuple):
    """Points in range. They stand for the scan's middle time, about which wrong speeds cancel."""

    points: Array
    """``(M, 3)`` float32, metres, sensor frame."""
    rows: Array
    """``(M,)`` their rows in the scan."""
    times: Array | None
    """``(M,)`` seconds after the middle."""
    middle: float
    """Mean time of the points, seconds."""
    delay: float
    """From the stamp to the middle, seconds."""


def prepare_scan(points: Array, stamp: float, times: Array | None, min_range: float, max_range: float) -> PreparedScan:
    """Check a scan and leave out what is out of range or not finite.

    Args:
        points: ``(N, 3)`` metres, sensor frame.
        stamp: Seconds.
        times: ``(N,)`` seconds of each point after the stamp.
        min_range: Metres.
        max_range: Metres.

    Raises:
        RegistrationError: If a shape is wrong, the stamp is not finite, or times are not seconds after it.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise RegistrationError(f"points: expected shape (N, 3), got {points.shape}")
    if not np.isfinite(stamp):
        raise RegistrationError(f"stamp: expected finite seconds, got {stamp}")
    if times is not None and np.shape(times) != (len(points),):
        raise RegistrationError(f"times: expected shape ({len(points)},), got {np.shape(times)}")
    kept, rows = keep_in_range(np.require(points, np.float32, ["C", "W"]), min_range, max_range)
    if times is None or not len(rows):
        return PreparedScan(kept, rows, None, stamp, 0.0)
    seconds = np.asarray(times)[rows].astype(np.float64)
    if not (longest := float(np.abs(seconds).max())) <= _LONGEST_SCAN:  # also false for NaN
        raise RegistrationError(f"times: expected within {_LONGEST_SCAN} s of the stamp, got {longest} s")
    delay = float(seconds.mean())
    return PreparedScan(kept, rows, seconds - delay, stamp + delay, delay)
