# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry: one scan in, the pose of the sensor out, by registration of a few sampled points with a rolling map."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.geometry.se3 import invert, motion_of_twist, rotation_angle, twist_of_motion
from kpconv_ros.pipelines.odometry_result import OdometryConfig, OdometryResult, OdometryStatus
from kpconv_ros.pipelines.patch_sampler import make_sampler
from kpconv_ros.pipelines.prepared_scan import PreparedScan, prepare_scan
from kpconv_ros.pipelines.scan_matcher import Estimate, Reach, ScanMatcher
from kpconv_ros.registration.belief import growth_of_held_pose
from kpconv_ros.registration.deskew import deskew
from kpconv_ros.registration.local_map import LocalMap
from kpconv_ros.registration.samplers import Sampler

Array = NDArray[Any]
MAX_STEP_BACK = 1e-3
"""A stamp may lie this much before the last one, seconds; beyond it time jumped back."""
_SHORTEST = 1e-3  # seconds between two scans, so that velocities stay finite
_NOTHING = np.empty(0, np.int64)


class Odometry:
    """Follows a lidar through the world."""

    def __init__(
        self, config: OdometryConfig, sampler: Sampler | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Start without a map.

        Args:
            config: Settings.
            sampler: Chooses the points; None makes the one that the config names.
            clock: Returns seconds; only differences count.

        Raises:
            RegistrationError: If there is no sampler of the configured name.
        """
        self.config = config
        self._clock = clock
        self._matcher = ScanMatcher(config, make_sampler(config.sampler) if sampler is None else sampler)
        self._map = LocalMap(config.map_voxel_size, config.map_radius, self._matcher.fine)
        self.reset()

    def configure(self, config: OdometryConfig) -> None:
        """Take over changed values of the fields that are live; map and pose stay."""
        self.config = self._matcher.config = config

    def reset(self) -> None:
        """Forget map, pose and time."""
        self._map.clear()
        self._generator = torch.Generator().manual_seed(self.config.seed)
        self._pose, self._keyframe = np.eye(4), np.eye(4)  # at the middle of a scan
        self._reported = np.eye(4)  # at its stamp
        self._covariance = self._placed_covariance = np.zeros((6, 6))  # now, and at the last believed pose
        self._map_covariance = np.zeros((6, 6))
        self._twist: Array | None = None
        self._stamp: float | None = None  # of the last scan
        self._placed_at = 0.0  # middle of the last scan whose pose was believed
        self._fixed_at = 0.0  # and of the last that was not degenerate
        self._first: PreparedScan | None = None  # the map's first scan, until its speed is known

    def warm_up(self) -> None:
        """Follow a sensor through a made-up room, so that the first real scan meets compiled code; then reset."""
        random = np.random.default_rng(0)
        room = random.uniform(-1.0, 1.0, (6000, 3)) * (12.0, 9.0, 3.0)
        axis = np.arange(len(room)) % 3
        room[np.arange(len(room)), axis] = np.sign(room[np.arange(len(room)), axis]) * np.array([12.0, 9.0, 3.0])[axis]
        times = np.linspace(0.0, 0.1, len(room))
        for scan in range(3):
            self.process(room.astype(np.float32), 0.1 * scan, times)
        self.reset()

    @property
    def map_points(self) -> Array:
        """Points of the map, ``(M, 3)``, metres, odometry frame; an array that is replaced, never changed."""
        return self._map.points

    def process(self, points: Array, stamp: float, times: Array | None = None) -> OdometryResult:
        """Place one scan.

        Args:
            points: ``(N, 3)`` float32, metres, sensor frame; rows that are not finite are left out.
            stamp: Seconds. A step back resets.
            times: ``(N,)`` seconds of each point after the stamp; they remove the sensor's motion during the scan.

        Returns:
            The pose at the stamp, and whether to believe it.

        Raises:
            RegistrationError: If a shape is wrong, the stamp is not finite, or times are not seconds after it.
        """
        started = self._clock()
        scan = prepare_scan(points, stamp, times, self.config.min_range, self.config.max_range)
        prepared = self._clock()
        was_reset = self._stamp is not None and stamp < self._stamp - MAX_STEP_BACK
        if was_reset:
            self.reset()
        gap = 0.0 if self._stamp is None else stamp - self._stamp
        self._stamp = stamp
        estimate = self._estimate(scan)
        registered = self._clock()
        status, reason = self._take(scan, estimate)
        ended = self._clock()
        if gap > self.config.max_gap:
            reason = "; ".join(filter(None, [f"gap of {gap:.2f} s", reason]))
        timings = {"prepare": prepared - started, "register": registered - prepared, "map": ended - registered}
        timings["total"] = ended - started
        is_moving = status in (OdometryStatus.TRACKING, OdometryStatus.DEGENERATE) and self._twist is not None
        return OdometryResult(
            T_odom_sensor=self._reported.copy(),
            twist=self._twist.copy() if is_moving and self._twist is not None else np.zeros(6),
            covariance=self._covariance.copy(),
            status=status,
            reason=reason,
            sampled=_NOTHING if estimate is None else scan.rows[estimate.sampled],
            fitness=0.0 if estimate is None else estimate.agreement,
            conditioning=0.0 if estimate is None else estimate.weakness.conditioning,
            map_points=len(self._map),
            was_reset=was_reset,
            timings_ms={stage: 1e3 * seconds for stage, seconds in timings.items()},
        )

    # --- where is it?

    def _estimate(self, scan: PreparedScan) -> Estimate | None:
        """Register with the map; None without a map or with too few points."""
        if self._map.target is None or len(scan.rows) < self.config.min_points:
            return None
        estimates: list[Estimate] = []
        for predicted, reach in self._predict(scan.middle):
            estimates.append(self._match(scan, predicted, reach))
            if not estimates[-1].doubt:
                break
        return max(estimates, key=lambda estimate: (not estimate.doubt, estimate.agreement))

    def _predict(self, middle: float) -> list[tuple[Array, Reach]]:
        """Return where to look: moved on at its twist, nearby and farther; after a gap or a failure, where it was."""
        elapsed = middle - self._placed_at
        if self._twist is None:
            return [(self._pose, Reach.WIDE)]
        moved = self._pose @ motion_of_twist(self._twist * elapsed)
        if elapsed <= self.config.max_gap:
            return [(moved, Reach.NEAR), (moved, Reach.FAR)]
        return [(moved, Reach.FAR), (self._pose, Reach.FAR)]

    def _match(self, scan: PreparedScan, predicted: Array, reach: Reach) -> Estimate:
        assert self._map.target is not None
        unfixed = self._growth(scan.middle - self._fixed_at)
        points = self._undistort(scan)
        estimate = self._matcher.match(points, self._map.target, predicted, unfixed, self._generator, reach)
        return estimate._replace(doubt=estimate.doubt or self._doubt_motion(estimate.pose, scan.middle))

    def _doubt_motion(self, pose: Array, middle: float) -> str:
        """Say if no sensor can have moved so."""
        elapsed = max(middle - self._placed_at, _SHORTEST)
        motion = invert(self._pose) @ pose
        speed, turn_rate = float(np.linalg.norm(motion[:3, 3])) / elapsed, rotation_angle(motion) / elapsed
        if speed > self.config.max_speed:
            return f"a jump at {speed:.1f} m/s, expected at most {self.config.max_speed}"
        if turn_rate > self.config.max_turn_rate:
            return f"a turn at {turn_rate:.1f} rad/s, expected at most {self.config.max_turn_rate}"
        return ""

    def _undistort(self, scan: PreparedScan) -> Array:
        if scan.times is None or self._twist is None:
            return scan.points
        return deskew(scan.points, scan.times, self._twist)

    # --- what follows from it?

    def _take(self, scan: PreparedScan, estimate: Estimate | None) -> tuple[OdometryStatus, str]:
        """Move pose and map on; return the status and its reason."""
        if len(scan.rows) < self.config.min_points:
            return self._hold(scan, f"{len(scan.rows)} points in range, expected at least {self.config.min_points}")
        if estimate is None:
            return self._start_map(scan)
        if estimate.doubt:
            status, reason = self._hold(scan, estimate.doubt)
            is_over = scan.middle - self._placed_at >= self.config.restart_after
            return self._restart(scan, reason) if is_over else (status, reason)
        self._place(scan, estimate)
        if self._is_key(estimate):
            self._insert(scan)
        if estimate.weakness.is_degenerate:
            return OdometryStatus.DEGENERATE, f"conditioning {estimate.weakness.conditioning:.3f}"
        return OdometryStatus.TRACKING, ""

    def _start_map(self, scan: PreparedScan) -> tuple[OdometryStatus, str]:
        self._placed_at = self._fixed_at = scan.middle
        self._placed_covariance = self._map_covariance
        self._first = None if scan.times is None else scan
        self._insert(scan)
        if self._map.target is None:
            self._map.clear()
            return OdometryStatus.LOST, f"{len(scan.rows)} points in range fill too few voxels for a map"
        return OdometryStatus.STARTED, ""

    def _place(self, scan: PreparedScan, estimate: Estimate) -> None:
        """Take over a believed pose.

        With the second scan the speed of the first is known: both are undistorted and placed once more, and the
        odometry frame becomes the sensor at the first stamp.
        """
        pose, placed_at, first = self._pose, self._placed_at, self._first
        self._move(scan, estimate)
        if first is not None and self._twist is not None:
            self._first = None
            advance = motion_of_twist(self._twist * first.delay)
            moved, self._pose, self._placed_at = self._pose, pose @ advance, placed_at
            self._map.clear()
            self._insert(first)
            again = self._match(scan, moved @ advance, Reach.FAR) if self._map.target is not None else estimate
            self._move(scan, estimate if again.doubt else again)
        if self._twist is not None:
            self._reported = self._pose @ motion_of_twist(-self._twist * scan.delay)

    def _move(self, scan: PreparedScan, estimate: Estimate) -> None:
        elapsed = max(scan.middle - self._placed_at, _SHORTEST)
        self._twist = twist_of_motion(invert(self._pose) @ estimate.pose) / elapsed
        self._pose, self._covariance = estimate.pose, estimate.covariance + self._map_covariance
        self._placed_covariance = self._covariance
        self._placed_at = scan.middle
        if not estimate.weakness.is_degenerate:
            self._fixed_at = scan.middle

    def _is_key(self, estimate: Estimate) -> bool:
        """Whether the scan shows enough that is new."""
        motion = invert(self._keyframe) @ self._pose
        is_away = float(np.linalg.norm(motion[:3, 3])) > self.config.keyframe_distance
        is_turned = rotation_angle(motion) > self.config.keyframe_angle
        return is_away or is_turned or estimate.agreement < self.config.keyframe_agreement

    def _insert(self, scan: PreparedScan) -> None:
        self._map.insert(self._undistort(scan), self._pose, self.config.min_points)
        self._keyframe = self._pose

    def _hold(self, scan: PreparedScan, reason: str) -> tuple[OdometryStatus, str]:
        """Keep the last good pose with a covariance that grows."""
        if self._map.target is not None:
            self._covariance = self._placed_covariance + self._growth(scan.middle - self._placed_at)
        return OdometryStatus.LOST, reason

    def _restart(self, scan: PreparedScan, reason: str) -> tuple[OdometryStatus, str]:
        """Begin a new map at the held pose, whose covariance it has from now on."""
        elapsed = scan.middle - self._placed_at
        self._map.clear()
        self._map_covariance, self._pose, self._twist = self._covariance, self._reported, None
        status, problem = self._start_map(scan)
        if status is OdometryStatus.LOST:
            return status, problem
        return OdometryStatus.RESTARTED, f"lost for {elapsed:.1f} s: {reason}"

    def _growth(self, elapsed: float) -> Array:
        return growth_of_held_pose(self._twist, elapsed, self.config.held_speed, self.config.held_turn_rate)
