# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an odometry is worth that was told scan by scan, beside the recorded poses where there are some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.evaluation.trajectory import Trajectory
from kpconv_ros.evaluation.trajectory_metrics import MIN_POSES, ate, kitti_drift, rpe, write_kitti, write_tum
from kpconv_ros.geometry.se3 import invert

Array = NDArray[Any]
NAN_POSE = np.full((4, 4), np.nan)


class RegistrationTally:
    """Keeps the poses of the scans, in the order of time."""

    def __init__(self) -> None:
        """Start without scans."""
        self.stamps_ns: list[int] = []
        self._estimates: list[Array] = []
        self._references: list[Array] = []
        self._covariances: list[Array] = []

    def add(self, stamp_ns: int, estimate: Array | None, covariance: Array | None, reference: Array | None) -> None:
        """Take the pose of a scan.

        Args:
            stamp_ns: Its stamp, nanoseconds.
            estimate: Pose as published, ``(4, 4)``, or None.
            covariance: Of that pose, ``(6, 6)``, or None.
            reference: True pose, ``(4, 4)``, or None.
        """
        self.stamps_ns.append(stamp_ns)
        self._estimates.append(NAN_POSE if estimate is None else estimate)
        self._references.append(NAN_POSE if reference is None else reference)
        self._covariances.append(np.full((6, 6), np.nan) if covariance is None else covariance)

    @property
    def is_placed(self) -> Array:
        """Which scans were given a pose, ``(S,)``."""
        placed: Array = np.array(np.isfinite(self._stack(self._estimates, 4)).all(axis=(1, 2)))
        return placed

    def trajectory(self) -> Trajectory | None:
        """The way of the sensor in the frame of the first scan with both poses; None without a second such scan."""
        estimate, truth = self._stack(self._estimates, 4), self._stack(self._references, 4)
        both = np.flatnonzero(np.isfinite(estimate).all(axis=(1, 2)) & np.isfinite(truth).all(axis=(1, 2)))
        if len(both) < 2:
            return None
        covariances = self._stack(self._covariances, 6)[both]
        empty = np.zeros((0, 3))
        return Trajectory(
            estimate=invert(estimate[both[0]]) @ estimate[both],
            truth=invert(truth[both[0]]) @ truth[both],
            deviation=np.sqrt(np.trace(covariances[:, :3, :3], axis1=1, axis2=2)),
            latency_ms=np.zeros(len(both)),
            sampled=[empty] * len(both),
            debug={},
            scan=empty,
            scan_sampled=empty,
        )

    def report(self) -> dict[str, Any]:
        """Sum up, ready for JSON; a number that does not exist is None."""
        placed = self._stack(self._estimates, 4)[self.is_placed]
        steps = np.linalg.norm(np.diff(placed[:, :3, 3], axis=0), axis=1) if len(placed) > 1 else np.zeros(0)
        trajectory = self.trajectory()
        scores: dict[str, Any] = dict.fromkeys(("ate_m", "rpe_m", "rpe_deg", "kitti_drift", "final_error_m"))
        way = float(steps.sum())
        if trajectory is not None and len(trajectory.truth) >= MIN_POSES:
            truth, estimate = trajectory.truth, trajectory.estimate
            way = float(np.linalg.norm(np.diff(truth[:, :3, 3], axis=0), axis=1).sum())
            scores = {
                "ate_m": ate(truth, estimate),
                "rpe_m": rpe(truth, estimate, "translation_part"),
                "rpe_deg": rpe(truth, estimate, "rotation_angle_deg"),
                "kitti_drift": kitti_drift(truth, estimate),
                "final_error_m": float(trajectory.errors()[-1]),
            }
        return {
            "scans": len(self.stamps_ns),
            "placed": int(self.is_placed.sum()),
            "with_reference": 0 if trajectory is None else len(trajectory.truth),
            "way_m": way,
            **scores,
            "positions_m": np.round(placed[:, :3, 3], 3).tolist(),
            "reference_positions_m": None if trajectory is None else np.round(trajectory.truth[:, :3, 3], 3).tolist(),
        }

    def write_files(self, folder: Path) -> list[Path]:
        """Write the poses as TUM and KITTI files, the reference too where there is one; return their paths."""
        placed, stamps = self.is_placed, np.array(self.stamps_ns, np.int64)
        estimate, truth = self._stack(self._estimates, 4), self._stack(self._references, 4)
        both = placed & np.isfinite(truth).all(axis=(1, 2))
        written = [
            write_tum(folder / "estimate.tum", stamps[placed], estimate[placed]),
            write_kitti(folder / "estimate.kitti", estimate[placed]),
        ]
        if both.any():
            first = int(np.argmax(both))
            in_frame = estimate[first] @ invert(truth[first]) @ truth[both]
            written += [
                write_tum(folder / "reference.tum", stamps[both], in_frame),
                write_kitti(folder / "reference.kitti", in_frame),
            ]
        return written

    @staticmethod
    def _stack(matrices: list[Array], size: int) -> Array:
        return np.array(matrices, np.float64).reshape(-1, size, size)
