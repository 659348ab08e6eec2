# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The record of an odometry beside the truth, and what it is worth: drift, error from scan to scan, latency."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kpconv_ros.evaluation.run_report import RecordError, percentiles
from kpconv_ros.geometry.se3 import invert, rotation_angle, transform_points

Array = npt.NDArray[Any]
NS_PER_MS = 1e6


@dataclass(frozen=True)
class Trajectory:
    """What the recorder wrote, laid into the frame of the first scan that has a pose; ``S`` scans in order of time."""

    estimate: Array
    """Published poses of the sensor, ``(S, 4, 4)``; NaN where none was."""
    truth: Array
    """True poses, ``(S, 4, 4)``."""
    deviation: Array
    """Standard deviation of the position as published, ``(S,)``, metres; NaN where none was."""
    latency_ms: Array
    """From the publication of the true pose, just before its scan, to that of the estimate, ``(S,)``; NaN likewise."""
    sampled: list[Array]
    """Registered points of each scan, ``(m, 3)``, sensor frame, metres."""
    debug: dict[str, Array]
    """Every value of the node's debug topics, by name."""
    scan: Array
    """All points of one scan, ``(N, 3)``, sensor frame, metres; empty if none was kept."""
    scan_sampled: Array
    """Those of them that were registered, ``(m, 3)``."""

    @property
    def is_placed(self) -> Array:
        """Which scans have a pose, ``(S,)``."""
        return np.isfinite(self.deviation)

    def errors(self) -> Array:
        """Distances between estimated and true positions, ``(S,)``, metres; NaN where there is no estimate."""
        apart: Array = np.linalg.norm(self.estimate[:, :3, 3] - self.truth[:, :3, 3], axis=1)
        return apart

    def sampled_in_frame(self) -> Array:
        """All registered points, moved by the estimated poses, ``(N, 3)``, metres."""
        placed = [
            transform_points(pose, points)
            for pose, points, is_placed in zip(self.estimate, self.sampled, self.is_placed)
            if is_placed and len(points)
        ]
        return np.concatenate([np.zeros((0, 3)), *placed])


def load_trajectory(path: Path) -> Trajectory:
    """Read a recorder's file.

    Raises:
        RecordError: If it is missing, not such a file, or no pose was published.
    """
    try:
        with np.load(path) as file:
            record = {name: file[name] for name in file.files}
        truth, estimate, covariance = (record[name] for name in ("truth", "estimate", "covariance"))
        latency = (record["estimate_published"] - record["truth_published"]) / NS_PER_MS
        sampled = np.split(record["sampled"], np.cumsum(record["num_sampled"])[:-1])
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise RecordError(f"got {path}, expected the record of an odometry: {error}") from error
    is_placed = np.isfinite(estimate).all(axis=(1, 2))
    if not is_placed.any():
        raise RecordError(f"{path}: got {len(truth)} scans of which none was given a pose")
    first = int(np.argmax(is_placed))
    return Trajectory(
        estimate=invert(estimate[first]) @ estimate,
        truth=invert(truth[first]) @ truth,
        deviation=np.sqrt(np.trace(covariance[:, :3, :3], axis1=1, axis2=2)),
        latency_ms=np.where(is_placed, latency, np.nan),
        sampled=sampled,
        debug={name.removeprefix("debug_"): values for name, values in record.items() if name.startswith("debug_")},
        scan=record["whole_scan"],
        scan_sampled=record["whole_sampled"],
    )


def report_trajectory(trajectory: Trajectory) -> dict[str, Any]:
    """Sum a run up, ready for JSON."""
    is_placed = trajectory.is_placed
    estimate, truth = trajectory.estimate[is_placed], trajectory.truth[is_placed]
    errors = trajectory.errors()[is_placed]
    way = float(np.linalg.norm(np.diff(trajectory.truth[:, :3, 3], axis=0), axis=1).sum())
    steps = [
        invert(invert(true_a) @ true_b) @ (invert(a) @ b)
        for a, b, true_a, true_b in zip(estimate, estimate[1:], truth, truth[1:])
    ]
    return {
        "scans": len(is_placed),
        "placed": int(is_placed.sum()),
        "way_m": round(way, 3),
        "final_error_m": round(float(errors[-1]), 4),
        "drift_percent": round(100.0 * float(errors[-1]) / way, 3) if way > 0.0 else None,
        "largest_error_m": round(float(errors.max()), 4),
        "step_error_m": percentiles(np.array([np.linalg.norm(step[:3, 3]) for step in steps])),
        "step_error_deg": percentiles(np.degrees([rotation_angle(step) for step in steps])),
        "deviation_m": percentiles(trajectory.deviation[is_placed]),
        "points_registered": float(np.median([len(points) for points in trajectory.sampled])),
        "latency_ms": percentiles(trajectory.latency_ms[is_placed]),
        "debug_ms": {name: percentiles(values) for name, values in sorted(trajectory.debug.items())},
    }


def format_trajectory_report(report: dict[str, Any], title: str) -> str:
    """The report as a table for the terminal."""

    def spans(name: str, digits: int) -> str:
        values = report[name].items()
        return "   ".join(f"{key} {'-' if value is None else f'{value:.{digits}f}'}" for key, value in values)

    drift = "-" if report["drift_percent"] is None else f"{report['drift_percent']:.2f} %"
    rows = {
        "scans": f"{report['scans']}, given a pose {report['placed']}",
        "points registered": f"{report['points_registered']:g} a scan",
        "way [m]": f"{report['way_m']:.2f}",
        "error at the end [m]": f"{report['final_error_m']:.3f} ({drift} of the way), largest "
        f"{report['largest_error_m']:.3f}",
        "error of a step [m]": spans("step_error_m", 3),
        "error of a step [deg]": spans("step_error_deg", 3),
        "published deviation [m]": spans("deviation_m", 3),
        "latency [ms]": f"{spans('latency_ms', 1)}   (from publication of the scan)",
    }
    lines = [title, "-" * 64, *(f"{name:<24} {text}" for name, text in rows.items()), "-" * 64]
    return "\n".join(lines)
