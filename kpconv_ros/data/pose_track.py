# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The poses that a recorded odometry gives, asked for one at the time of a scan."""

from __future__ import annotations

import bisect
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.geometry.se3 import invert, motion_of_twist, twist_of_motion

Matrix = NDArray[Any]
TOLERANCE_NS = 50_000_000
"""A single pose may be so far from a scan, as for the segment node."""
MAX_GAP_NS = 500_000_000
"""Longest time between two poses to interpolate over, as for the segment node."""
MAX_KEPT = 4000
"""Poses kept, enough for twenty seconds at 200 Hz."""


class PoseTrack:
    """Poses in the order of time."""

    def __init__(self) -> None:
        """Start without a pose."""
        self._poses: deque[tuple[int, Matrix]] = deque(maxlen=MAX_KEPT)

    def add(self, stamp_ns: int, pose: Matrix) -> None:
        """Add a pose, ``(4, 4)``; one whose stamp is before the last one's empties the track first."""
        if self._poses and stamp_ns < self._poses[-1][0]:
            self._poses.clear()
        self._poses.append((stamp_ns, pose))

    def covers(self, stamp_ns: int) -> bool:
        """Whether no later pose can make the one at this time better."""
        return bool(self._poses) and stamp_ns <= self._poses[-1][0]

    def pose_at(self, stamp_ns: int) -> Matrix | None:
        """The pose at a time, ``(4, 4)``: between two poses along the screw that joins them, else the nearest.

        Returns:
            None if the two are more than `MAX_GAP_NS` apart and none is within `TOLERANCE_NS`.
        """
        after = bisect.bisect_left(self._poses, stamp_ns, key=lambda entry: entry[0])
        around = [self._poses[row] for row in (after - 1, after) if 0 <= row < len(self._poses)]
        if len(around) == 2 and around[1][0] - around[0][0] <= MAX_GAP_NS:
            (early, a), (late, b) = around
            fraction = (stamp_ns - early) / max(late - early, 1)
            joined: Matrix = a @ motion_of_twist(fraction * twist_of_motion(invert(a) @ b))
            return joined
        near = [entry for entry in around if abs(entry[0] - stamp_ns) <= TOLERANCE_NS]
        return np.array(min(near, key=lambda entry: abs(entry[0] - stamp_ns))[1]) if near else None
