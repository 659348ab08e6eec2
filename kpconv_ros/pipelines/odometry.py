# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry: one scan in, the pose of the sensor out, by registration of a few sampled points with a rolling map."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.geometry.se3 import invert, motion_of_twist, rotation_angle, twist_of_motion
from kpconv_ros.kernels.scan import rows_in_range
from kpconv_ros.pipelines.odometry_result import OdometryConfig, OdometryResult, OdometryStatus
from kpconv_ros.registration.belief import (
    covariance_of,
    find_weakness,
    growth_of_held_pose,
    keep_prediction,
    measure_agreement,
)
from kpconv_ros.registration.deskew import deskew
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.local_map import LocalMap
from kpconv_ros.registration.samplers import Sampler, SamplingContext, make_sampler
from kpconv_ros.registration.solver import MIN_POINTS, RegistrationResult, SolverConfig, register

Array = NDArray[Any]
MAX_STEP_BACK = 1e-3
"""A stamp may lie this much before the last one, seconds; beyond it time jumped back."""
_SHORTEST = 1e-3  # seconds between two scans, so that velocities stay finite
_LEAST_NOISE = 0.01  # metres; no lidar measures planes better


class _Scan(NamedTuple):
    """A scan as it came, without what is out of range."""

    points: Array
    times: Array | None
    rows: Array
    stamp: float


class _Estimate(NamedTuple):
    """A pose of the scan, and what speaks for it."""

    pose: Array
    covariance: Array
    sampled: Array
    agreement: float
    conditioning: float
    is_degenerate: bool
    doubt: str
    """Why not to believe it; empty if nothing speaks against it."""


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
        self._sampler = make_sampler(config.sampler) if sampler is None else sampler
        self._coarse = self._solver(config.search_distance, 1e-3, 1e-2)
        self._fine = self._solver(config.fine_distance, 2e-4, 5e-4)
        self._map = LocalMap(config.map_voxel_size, config.map_radius, self._fine)
        self.reset()

    def configure(self, config: OdometryConfig) -> None:
        """Take over changed values of the fields that are live; map and pose stay."""
        self.config = config

    def reset(self) -> None:
        """Forget map, pose and time."""
        self._map.clear()
        self._generator = torch.Generator().manual_seed(self.config.seed)
        self._pose, self._keyframe = np.eye(4), np.eye(4)
        self._covariance = self._placed_covariance = np.zeros((6, 6))  # now, and at the last believed pose
        self._map_covariance = np.zeros((6, 6))
        self._twist: Array | None = None
        self._stamp: float | None = None  # of the last scan
        self._placed_at = 0.0  # stamp of the last believed pose
        self._fixed_at = 0.0  # and of the last that was not degenerate
        self._first: _Scan | None = None

    def process(self, points: Array, stamp: float, times: Array | None = None) -> OdometryResult:
        """Place one scan.

        Args:
            points: ``(N, 3)`` float32, metres, sensor frame; rows that are not finite are left out.
            stamp: Seconds. A step back resets.
            times: ``(N,)`` seconds of each point after the stamp; they remove the sensor's motion during the scan.

        Returns:
            The pose at the stamp, and whether to believe it.

        Raises:
            RegistrationError: If a shape is wrong, or the stamp is not finite.
        """
        started = self._clock()
        points, times = _check_scan(points, stamp, times)
        was_reset = self._stamp is not None and stamp < self._stamp - MAX_STEP_BACK
        if was_reset:
            self.reset()
        gap = 0.0 if self._stamp is None else stamp - self._stamp
        self._stamp = stamp
        rows = rows_in_range(points, self.config.min_range, self.config.max_range)
        scan = _Scan(points[rows], None if times is None else times[rows], rows, stamp)
        prepared = self._clock()
        estimate = self._estimate(scan)
        registered = self._clock()
        status, reason = self._take(scan, estimate)
        if gap > self.config.max_gap:
            reason = "; ".join(filter(None, [f"gap of {gap:.2f} s", reason]))
        ended = self._clock()
        timings = {"prepare": prepared - started, "register": registered - prepared, "map": ended - registered}
        timings["total"] = ended - started
        is_moving = status in (OdometryStatus.TRACKING, OdometryStatus.DEGENERATE) and self._twist is not None
        return OdometryResult(
            T_odom_sensor=self._pose.copy(),
            twist=self._twist.copy() if is_moving and self._twist is not None else np.zeros(6),
            covariance=self._covariance.copy(),
            status=status,
            reason=reason,
            sampled=_NOTHING if estimate is None else rows[estimate.sampled],
            fitness=0.0 if estimate is None else estimate.agreement,
            conditioning=0.0 if estimate is None else estimate.conditioning,
            map_points=len(self._map),
            was_reset=was_reset,
            timings_ms={stage: 1e3 * seconds for stage, seconds in timings.items()},
        )

    def _solver(self, distance: float, rotation_epsilon: float, translation_epsilon: float) -> SolverConfig:
        return SolverConfig(
            max_distance=distance,
            rotation_epsilon=rotation_epsilon,
            translation_epsilon=translation_epsilon,
            num_threads=self.config.num_threads,
        )

    # --- where is it?

    def _estimate(self, scan: _Scan) -> _Estimate | None:
        """Register with the map; None without a map or with too few points."""
        if self._map.target is None or len(scan.rows) < self.config.min_points:
            return None
        estimates = []
        for predicted in self._predict(scan.stamp):
            estimates.append(self._register(scan, predicted))
            if not estimates[-1].doubt:
                break
        return max(estimates, key=lambda estimate: (not estimate.doubt, estimate.agreement))

    def _predict(self, stamp: float) -> list[Array]:
        """Return where the sensor may be: moved on at its twist, and, after a gap or a failure, where it was."""
        elapsed = stamp - self._placed_at
        if self._twist is None:
            return [self._pose]
        moved = self._pose @ motion_of_twist(self._twist * elapsed)
        return [moved] if elapsed <= self.config.max_gap else [moved, self._pose]

    def _register(self, scan: _Scan, predicted: Array) -> _Estimate:
        """Register in passes, from coarse to fine, choosing the points anew with each corrected pose."""
        target, points = self._map.target, self._undistort(scan)
        assert target is not None
        passes = [(self.config.coarse_points, self._coarse), (self.config.num_points, self._fine)]
        if self._twist is None:
            passes.insert(0, (self.config.coarse_points, self._solver(3 * self.config.search_distance, 1e-3, 1e-2)))
        pose = predicted
        for num_points, solver in passes:
            context = SamplingContext(T_frame_sensor=pose, generator=self._generator)
            sampled = self._sampler.sample(points, num_points, context)
            if len(sampled) < MIN_POINTS:
                doubt = f"the sampler chose {len(sampled)} points, expected at least {MIN_POINTS}"
                return _Estimate(predicted, self._covariance, sampled, 0.0, 0.0, False, doubt)
            found = register(points[sampled], target, pose, solver)
            pose = found.T_target_source
        agreement = measure_agreement(points[sampled], target, pose)
        return self._judge(scan, predicted, found, sampled, agreement)

    def _judge(
        self, scan: _Scan, predicted: Array, found: RegistrationResult, sampled: Array, agreement: float
    ) -> _Estimate:
        weakness = find_weakness(found.information, self.config.min_information)
        pose = found.T_target_source
        covariance = covariance_of(found.information, max(found.rmse, _LEAST_NOISE), pose[:3, :3])
        if weakness.is_degenerate:
            pose = keep_prediction(predicted, pose, weakness)
            grown = self._growth(scan.stamp - self._fixed_at)
            for part, directions in ((slice(0, 3), weakness.translations), (slice(3, 6), weakness.rotations)):
                turned = directions @ pose[:3, :3].T
                covariance[part, part] += turned.T @ turned @ grown[part, part]
        doubt = self._doubt(pose, scan.stamp, agreement)
        return _Estimate(pose, covariance, sampled, agreement, weakness.conditioning, weakness.is_degenerate, doubt)

    def _doubt(self, pose: Array, stamp: float, agreement: float) -> str:
        """Say what speaks against a pose."""
        if agreement < self.config.min_agreement:
            return f"{agreement:.2f} of the points lie on the map, expected at least {self.config.min_agreement}"
        elapsed = max(stamp - self._placed_at, _SHORTEST)
        motion = invert(self._pose) @ pose
        speed, turn_rate = float(np.linalg.norm(motion[:3, 3])) / elapsed, rotation_angle(motion) / elapsed
        if speed > self.config.max_speed:
            return f"a jump at {speed:.1f} m/s, expected at most {self.config.max_speed}"
        if turn_rate > self.config.max_turn_rate:
            return f"a turn at {turn_rate:.1f} rad/s, expected at most {self.config.max_turn_rate}"
        return ""

    def _undistort(self, scan: _Scan) -> Array:
        if scan.times is None or self._twist is None:
            return scan.points
        return deskew(scan.points, scan.times, self._twist)

    # --- what follows from it?

    def _take(self, scan: _Scan, estimate: _Estimate | None) -> tuple[OdometryStatus, str]:
        """Move pose and map on; return the status and its reason."""
        too_few = len(scan.rows) < self.config.min_points
        if estimate is None and not too_few:
            return self._start_map(scan)
        if estimate is None or estimate.doubt:
            few = f"{len(scan.rows)} points in range, expected at least {self.config.min_points}"
            return self._hold(scan, too_few, few if estimate is None else estimate.doubt)
        self._place(scan, estimate)
        if self._is_key(estimate):
            self._insert(scan)
        if estimate.is_degenerate:
            return OdometryStatus.DEGENERATE, f"conditioning {estimate.conditioning:.3f}"
        return OdometryStatus.TRACKING, ""

    def _place(self, scan: _Scan, estimate: _Estimate) -> None:
        """Take over a believed pose. With the second scan the speed of the first is known, and both are undistorted."""
        pose, placed_at, first = self._pose, self._placed_at, self._first
        self._move(scan, estimate)
        if first is None:
            return
        self._first = None
        moved, self._pose, self._placed_at = self._pose, pose, placed_at
        self._map.clear()
        self._insert(first)
        again = self._register(scan, moved) if self._map.target is not None else estimate
        self._move(scan, estimate if again.doubt else again)

    def _start_map(self, scan: _Scan) -> tuple[OdometryStatus, str]:
        self._placed_at = self._fixed_at = scan.stamp
        self._placed_covariance = self._map_covariance
        self._first = scan if scan.times is not None else None
        self._insert(scan)
        if self._map.target is None:
            self._map.clear()
            return OdometryStatus.LOST, f"{len(scan.rows)} points in range fill too few voxels for a map"
        return OdometryStatus.STARTED, ""

    def _move(self, scan: _Scan, estimate: _Estimate) -> None:
        elapsed = max(scan.stamp - self._placed_at, _SHORTEST)
        self._twist = twist_of_motion(invert(self._pose) @ estimate.pose) / elapsed
        self._pose, self._covariance = estimate.pose, estimate.covariance + self._map_covariance
        self._placed_covariance = self._covariance
        self._placed_at = scan.stamp
        if not estimate.is_degenerate:
            self._fixed_at = scan.stamp

    def _is_key(self, estimate: _Estimate) -> bool:
        """Whether the scan shows enough that is new; one that is not fixed in all directions is not kept."""
        motion = invert(self._keyframe) @ self._pose
        is_away = float(np.linalg.norm(motion[:3, 3])) > self.config.keyframe_distance
        is_turned = rotation_angle(motion) > self.config.keyframe_angle
        return is_away or is_turned or estimate.agreement < self.config.keyframe_agreement

    def _insert(self, scan: _Scan) -> None:
        self._map.insert(self._undistort(scan), self._pose, self.config.min_points)
        self._keyframe = self._pose

    def _hold(self, scan: _Scan, too_few: bool, reason: str) -> tuple[OdometryStatus, str]:
        """Keep the last good pose with a covariance that grows; after a while begin a new map there."""
        if self._map.target is None:
            return OdometryStatus.LOST, reason
        elapsed = scan.stamp - self._placed_at
        self._covariance = self._placed_covariance + self._growth(elapsed)
        if elapsed < self.config.restart_after or too_few:
            return OdometryStatus.LOST, reason
        self._map.clear()
        self._map_covariance, self._twist = self._covariance, None
        status, problem = self._start_map(scan)
        if status is OdometryStatus.LOST:
            return status, problem
        return OdometryStatus.RESTARTED, f"lost for {elapsed:.1f} s: {reason}"

    def _growth(self, elapsed: float) -> Array:
        return growth_of_held_pose(self._twist, elapsed, self.config.held_speed, self.config.held_turn_rate)


def _check_scan(points: Array, stamp: float, times: Array | None) -> tuple[Array, Array | None]:
    """Return points as contiguous float32 and times as an array.

    Raises:
        RegistrationError: If a shape is wrong, or the stamp is not finite.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise RegistrationError(f"points: expected shape (N, 3), got {points.shape}")
    if not np.isfinite(stamp):
        raise RegistrationError(f"stamp: expected finite seconds, got {stamp}")
    if times is not None and np.shape(times) != (len(points),):
        raise RegistrationError(f"times: expected shape ({len(points)},), got {np.shape(times)}")
    return np.require(points, np.float32, ["C", "W"]), None if times is None else np.asarray(times)
