# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recorder keeps of a live run: published labels matched with ground truth by stamp, and times. No ROS types.

Only counts are kept of most scans, so a run may be as long as it likes. One scan, the one with the most classes in it,
is kept whole for a picture.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kpconv_ros.nodes.array_file import write_arrays

NUM_LABELS = 256  # of a uint8
MAX_WAITING = 30  # scans whose partner has not come
MIN_POINTS_OF_CLASS = 20  # so many points make a class visible in a picture
NEVER = -1


@dataclass
class ScanTimes:
    """Times of one scan [ns]: its stamp, publication of truth and labels, receipt of the labels; or ``NEVER``."""

    stamp: int
    truth_published: int = NEVER
    labels_published: int = NEVER
    labels_received: int = NEVER
    num_points: int = 0


class ScanRecord:
    """Matches labels with ground truth and counts (true label, published label) pairs."""

    def __init__(self) -> None:
        """Start with no scans."""
        self.times: OrderedDict[int, ScanTimes] = OrderedDict()
        self.pair_counts = np.zeros((NUM_LABELS, NUM_LABELS), dtype=np.int64)
        self.num_mismatched = 0
        self.scan: dict[str, npt.NDArray[Any]] = {}
        self.map: dict[str, npt.NDArray[Any]] = {}
        self.debug: dict[str, list[float]] = {}
        self._classes_in_scan = 0
        self._waiting_truth: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()
        self._waiting_labels: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()

    def add_truth(self, stamp: int, points: npt.NDArray[Any], published: int) -> bool:
        """Take the ground truth of a scan: structured points with ``label``, ``(N,)``; times in ns.

        Returns:
            Whether both truth and labels of the scan have come now.
        """
        times = self.times.setdefault(stamp, ScanTimes(stamp))
        times.truth_published, times.num_points = published, len(points)
        self._waiting_truth[stamp] = points
        return self._match(stamp)

    def add_labels(self, stamp: int, points: npt.NDArray[Any], published: int, received: int) -> bool:
        """Take a labelled scan: structured points with ``x y z label``, ``(N,)``; times in ns.

        Returns:
            Whether both truth and labels of the scan have come now.
        """
        times = self.times.setdefault(stamp, ScanTimes(stamp))
        times.labels_published, times.labels_received = published, received
        self._waiting_labels[stamp] = points
        return self._match(stamp)

    def add_debug(self, name: str, value: float) -> None:
        """Take one value of a debug topic."""
        self.debug.setdefault(name, []).append(value)

    def set_map(self, points: npt.NDArray[Any]) -> None:
        """Take the voted map: structured points with ``x y z label``, ``(V,)``."""
        self.map = {"points": positions_of(points), "labels": np.array(points["label"], dtype=np.uint8)}

    @property
    def num_scans(self) -> int:
        """How many scans were seen of which the ground truth came."""
        return sum(times.truth_published != NEVER for times in self.times.values())

    def save(self, path: Path) -> None:
        """Write everything as one ``.npz``; it appears as a whole or not at all."""
        rows = [times for times in self.times.values() if times.truth_published != NEVER]
        arrays: dict[str, npt.NDArray[Any]] = {
            name: np.array([getattr(row, name) for row in rows], dtype=np.int64)
            for name in ScanTimes.__dataclass_fields__
        }
        arrays["pair_counts"] = self.pair_counts
        arrays["num_mismatched"] = np.array(self.num_mismatched)
        arrays.update({f"scan_{name}": values for name, values in self.scan.items()})
        arrays.update({f"map_{name}": values for name, values in self.map.items()})
        arrays.update({f"debug_{name}": np.array(values) for name, values in self.debug.items()})
        write_arrays(path, arrays)

    def _match(self, stamp: int) -> bool:
        for waiting in (self._waiting_truth, self._waiting_labels):
            while len(waiting) > MAX_WAITING:
                waiting.popitem(last=False)
        if stamp not in self._waiting_truth or stamp not in self._waiting_labels:
            return False
        truth, labelled = self._waiting_truth.pop(stamp), self._waiting_labels.pop(stamp)
        if len(truth) != len(labelled):
            self.num_mismatched += 1
        else:
            self._count(labelled, truth["label"].astype(np.int64), labelled["label"].astype(np.int64))
        return True

    def _count(self, points: npt.NDArray[Any], truth: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> None:
        counts = np.bincount(truth * NUM_LABELS + labels, minlength=NUM_LABELS**2).reshape(NUM_LABELS, NUM_LABELS)
        self.pair_counts += counts
        classes_in_scan = int((counts.sum(axis=1) >= MIN_POINTS_OF_CLASS).sum())
        if classes_in_scan < self._classes_in_scan:
            return
        self._classes_in_scan = classes_in_scan
        self.scan = {
            "points": positions_of(points),
            "predicted": labels.astype(np.uint8),
            "truth": truth.astype(np.uint8),
        }


def positions_of(points: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The fields x, y, z of structured points as ``(N, 3)``."""
    return np.stack([points[axis] for axis in "xyz"], axis=1).astype(np.float32)
