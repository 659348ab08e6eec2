# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last seconds of an odometry, asked for a pose at a time by another thread."""

from __future__ import annotations

import bisect
import threading

import numpy as np

from kpconv_ros.nodes.pose_msg import Matrix, PoseError, interpolate_pose


class OdometryBuffer:
    """Poses ordered by time; interpolates between two, or takes the nearest within a tolerance."""

    def __init__(self, tolerance: float, max_gap: float, keep: float = 10.0) -> None:
        """Make an empty buffer.

        Args:
            tolerance: How far from a single pose a time may be, seconds.
            max_gap: Longest time between two poses to interpolate over, seconds.
            keep: How long poses are kept, seconds.
        """
        self.tolerance, self.max_gap, self._keep = tolerance, max_gap, keep
        self._added = threading.Condition()
        self._stamps: list[float] = []
        self._poses: list[Matrix] = []
        self._number: int | None = None
        self.num_resets = 0
        """How often the poses began anew."""

    def __len__(self) -> int:
        """How many poses are kept."""
        return len(self._stamps)

    def add(self, stamp: float, T_odom_child: Matrix, number: int | None = None) -> None:
        """Add a pose. One that begins anew (a bag starts again, or the odometry does) empties the buffer first.

        Args:
            stamp: Seconds.
            T_odom_child: The pose.
            number: Which message of its publisher it is, where the middleware says so.
        """
        with self._added:
            if self._stamps and (stamp < self._stamps[-1] or self._is_restart(stamp, T_odom_child, number)):
                self._stamps, self._poses = [], []
                self.num_resets += 1
            self._number = number
            self._stamps.append(stamp)
            self._poses.append(T_odom_child)
            old = bisect.bisect_left(self._stamps, stamp - self._keep)
            del self._stamps[:old], self._poses[:old]
            self._added.notify_all()

    def pose_at(self, stamp: float, timeout: float) -> Matrix:
        """The pose ``T_odom_child`` at a time, waiting up to ``timeout`` seconds for odometry as late as that.

        Raises:
            PoseError: If no pose is near enough.
        """
        with self._added:
            self._added.wait_for(lambda: bool(self._stamps) and self._covers(stamp), timeout)
            return self._look_up(stamp)

    def _is_restart(self, stamp: float, T_odom_child: Matrix, number: int | None) -> bool:
        """Whether a pose after a gap is of another publisher, or the origin itself where one did not come by driving.

        The first message of a publisher is not always heard, so the origin alone does not tell.
        """
        is_origin, was_origin = (np.array_equal(pose, np.eye(4)) for pose in (T_odom_child, self._poses[-1]))
        is_counted_anew = number is not None and self._number is not None and number <= self._number
        return stamp - self._stamps[-1] > self.max_gap and (is_counted_anew or (is_origin and not was_origin))

    def _covers(self, stamp: float) -> bool:
        return self._stamps[0] <= stamp <= self._stamps[-1]

    def _look_up(self, stamp: float) -> Matrix:
        if not self._stamps:
            raise PoseError(f"no odometry came; expected one within {self.tolerance} s of {stamp:.3f}")
        after = bisect.bisect_left(self._stamps, stamp)
        if 0 < after < len(self._stamps):
            before_stamp, after_stamp = self._stamps[after - 1], self._stamps[after]
            if after_stamp - before_stamp <= self.max_gap:
                fraction = (stamp - before_stamp) / (after_stamp - before_stamp)
                return interpolate_pose(self._poses[after - 1], self._poses[after], fraction)
        candidates = range(max(0, after - 1), min(after + 1, len(self._stamps)))
        near = min(candidates, key=lambda i: abs(self._stamps[i] - stamp))
        if abs(self._stamps[near] - stamp) > self.tolerance:
            raise PoseError(
                f"no odometry within {self.tolerance} s of {stamp:.3f}: "
                f"got {self._stamps[0]:.3f} to {self._stamps[-1]:.3f}"
            )
        return self._poses[near]
