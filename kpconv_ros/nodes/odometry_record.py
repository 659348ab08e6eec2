# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recorder keeps of an odometry: its poses matched with the true ones by stamp, times, sampled points."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kpconv_ros.nodes.array_file import write_arrays

NEVER = -1
MAX_SAMPLED_POINTS = 4_000_000  # of a whole run; later scans keep none
Array = npt.NDArray[Any]


@dataclass
class _Scan:
    """What came of one scan; times in ns, or ``NEVER``."""

    truth: Array | None = None
    truth_published: int = NEVER
    estimate: Array | None = None
    covariance: Array | None = None
    estimate_published: int = NEVER
    sampled: Array = field(default_factory=lambda: np.zeros((0, 3), np.float32))


class OdometryRecord:
    """Poses, true poses and sampled points of scans, by stamp."""

    def __init__(self) -> None:
        """Start with no scans."""
        self._scans: dict[int, _Scan] = {}
        self._debug: dict[str, list[float]] = {}
        self._num_sampled = 0
        self.whole_scan = self.whole_sampled = np.zeros((0, 3), np.float32)

    @property
    def num_scans(self) -> int:
        """How many scans were seen of which the truth came."""
        return sum(scan.truth is not None for scan in self._scans.values())

    def add_truth(self, stamp: int, T_odom_sensor: Array, published: int) -> None:
        """Take a true pose, ``(4, 4)``; times in ns."""
        scan = self._scan_of(stamp)
        scan.truth, scan.truth_published = T_odom_sensor, published

    def add_odometry(self, stamp: int, T_odom_sensor: Array, covariance: Array, published: int) -> None:
        """Take a published pose, ``(4, 4)``, and its covariance, ``(6, 6)``; times in ns."""
        scan = self._scan_of(stamp)
        scan.estimate, scan.covariance, scan.estimate_published = T_odom_sensor, covariance, published

    def add_sampled(self, stamp: int, points: Array) -> None:
        """Take the registered points of a scan, ``(m, 3)``, metres, sensor frame."""
        if self._num_sampled + len(points) <= MAX_SAMPLED_POINTS:
            self._num_sampled += len(points)
            self._scan_of(stamp).sampled = np.array(points, np.float32)

    def set_whole_scan(self, points: Array, sampled: Array) -> None:
        """Take all points of one scan, and those of them that were registered, for a picture; sensor frame, metres."""
        self.whole_scan, self.whole_sampled = np.array(points, np.float32), np.array(sampled, np.float32)

    def add_debug(self, name: str, value: float) -> None:
        """Take one value of a debug topic."""
        self._debug.setdefault(name, []).append(value)

    def save(self, path: Path) -> None:
        """Write everything as one ``.npz``; it appears as a whole or not at all. A pose that did not come is NaN."""
        rows = [(stamp, self._scans[stamp]) for stamp in sorted(self._scans) if self._scans[stamp].truth is not None]
        scans = [scan for _, scan in rows]
        arrays: dict[str, Array] = {
            "stamp": np.array([stamp for stamp, _ in rows], np.int64),
            "truth": _stack([scan.truth for scan in scans], (4, 4)),
            "truth_published": np.array([scan.truth_published for scan in scans], np.int64),
            "estimate": _stack([scan.estimate for scan in scans], (4, 4)),
            "covariance": _stack([scan.covariance for scan in scans], (6, 6)),
            "estimate_published": np.array([scan.estimate_published for scan in scans], np.int64),
            "num_sampled": np.array([len(scan.sampled) for scan in scans], np.int64),
            "sampled": np.concatenate([np.zeros((0, 3), np.float32), *(scan.sampled for scan in scans)]),
        }
        arrays.update(whole_scan=self.whole_scan, whole_sampled=self.whole_sampled)
        arrays.update({f"debug_{name}": np.array(values) for name, values in self._debug.items()})
        write_arrays(path, arrays)

    def _scan_of(self, stamp: int) -> _Scan:
        return self._scans.setdefault(stamp, _Scan())


def _stack(matrices: list[Array | None], shape: tuple[int, int]) -> Array:
    filled = [np.full(shape, np.nan) if matrix is None else matrix for matrix in matrices]
    return np.array(filled, np.float64).reshape(-1, *shape)
