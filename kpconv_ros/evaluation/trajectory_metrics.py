# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a trajectory is worth beside a reference: ATE and RPE by evo, drift by KITTI's scheme, and files for others.

ATE and RPE: Sturm et al., A Benchmark for the Evaluation of RGB-D SLAM Systems, IROS 2012. Drift: Geiger et al., Are we
ready for Autonomous Driving?, CVPR 2012.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kpconv_ros.geometry.se3 import invert, rotation_angle

Array = NDArray[Any]
KITTI_LENGTHS = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
"""Lengths of KITTI's segments, metres."""
SHORT_LENGTHS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Those used where the way is shorter than the first of KITTI's."""
MIN_POSES = 3
EVO_MISSING = "ATE and RPE need evo (Python 3.11 or newer): pip install -r requirements-evaluation.txt"


def ate(reference: Array, estimate: Array) -> dict[str, Any]:
    """Absolute trajectory error: distances of positions after the best rigid alignment, metres.

    A way that is a straight line, or a single place, leaves rotations open; then only the first poses are laid on each
    other.

    Args:
        reference: Poses, ``(S, 4, 4)``, at least three.
        estimate: Poses at the same times, ``(S, 4, 4)``.

    Returns:
        ``rmse``, ``mean``, ``median``, ``max`` as evo names them, and the ``alignment``: ``rigid`` or ``origin``.

    Raises:
        ModuleNotFoundError: Without evo.
    """
    metrics, trajectory = _import_evo()
    from evo.core.geometry import GeometryException

    true, moved = (trajectory.PosePath3D(poses_se3=list(poses)) for poses in (reference, estimate))
    alignment = "rigid"
    try:
        moved.align(true)
    except GeometryException:
        moved.align_origin(true)
        alignment = "origin"
    metric = metrics.APE(metrics.PoseRelation.translation_part)
    metric.process_data((true, moved))
    return {**_statistics(metric), "alignment": alignment}


def rpe(reference: Array, estimate: Array, relation: str) -> dict[str, float]:
    """Relative pose error from each scan to the next.

    Args:
        reference: Poses, ``(S, 4, 4)``.
        estimate: Poses at the same times, ``(S, 4, 4)``.
        relation: ``translation_part`` (metres) or ``rotation_angle_deg`` (degrees).

    Raises:
        ModuleNotFoundError: Without evo.
    """
    metrics, trajectory = _import_evo()
    true, moved = (trajectory.PosePath3D(poses_se3=list(poses)) for poses in (reference, estimate))
    metric = metrics.RPE(getattr(metrics.PoseRelation, relation), delta=1, delta_unit=metrics.Unit.frames)
    metric.process_data((true, moved))
    return _statistics(metric)


def kitti_drift(reference: Array, estimate: Array) -> dict[str, Any] | None:
    """Mean error at the end of segments of fixed lengths, by the length: KITTI's odometry metric.

    Segments begin at every scan. Where the way is shorter than KITTI's shortest segment, shorter ones are taken; the
    result names the lengths.

    Args:
        reference: True poses, ``(S, 4, 4)``.
        estimate: Poses at the same times, ``(S, 4, 4)``.

    Returns:
        ``translation_percent``, ``rotation_deg_per_m``, ``lengths_m``, ``segments``; None if no segment fits.
    """
    steps = np.linalg.norm(np.diff(reference[:, :3, 3], axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    lengths = KITTI_LENGTHS if way[-1] >= KITTI_LENGTHS[0] else SHORT_LENGTHS
    errors = []
    for length in lengths:
        ends = np.searchsorted(way, way + length)
        for begin, end in enumerate(ends):
            if end < len(way):
                true, moved = (invert(poses[begin]) @ poses[end] for poses in (reference, estimate))
                apart = invert(moved) @ true
                errors.append((float(np.linalg.norm(apart[:3, 3])) / length, rotation_angle(apart) / length, length))
    if not errors:
        return None
    translation, rotation, used = (np.array(column) for column in zip(*errors))
    return {
        "translation_percent": 100.0 * float(translation.mean()),
        "rotation_deg_per_m": float(np.degrees(rotation.mean())),
        "lengths_m": sorted(set(used.tolist())),
        "segments": len(errors),
    }


def write_tum(path: Path, stamps_ns: Array, poses: Array) -> Path:
    """Write poses as a TUM file: ``stamp x y z qx qy qz qw`` a line, seconds and metres; return the path."""
    rows = []
    for stamp_ns, pose in zip(stamps_ns.tolist(), poses):
        numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        seconds = f"{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}"
        rows.append(" ".join([seconds, *(f"{number:.9f}" for number in numbers)]))
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def write_kitti(path: Path, poses: Array) -> Path:
    """Write poses as a KITTI file: the first three rows of each matrix in a line; return the path."""
    rows = [" ".join(f"{number:.9e}" for number in pose[:3].ravel()) for pose in poses]
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def _statistics(metric: Any) -> dict[str, float]:
    values = metric.get_all_statistics()
    return {name: float(values[name]) for name in ("rmse", "mean", "median", "max")}


def _import_evo() -> tuple[Any, Any]:
    try:
        from evo.core import metrics, trajectory
    except ImportError as error:
        raise ModuleNotFoundError(EVO_MISSING) from error
    return metrics, trajectory
