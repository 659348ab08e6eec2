# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A few scans kept whole: some spread over the run, the worst, and one that shows much."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
NUM_SPREAD = 20
NUM_WORST = 3


@dataclass(frozen=True)
class KeptScan:
    """A labelled scan."""

    index: int
    """Number in the run."""
    points: Array
    """``(N, 3)``, metres, sensor frame."""
    labels: Array
    """As published, ``(N,)`` uint8."""
    truth: Array | None
    """``(N,)`` uint8, or None."""
    T_map_sensor: Array | None
    """``(4, 4)``, or None where it was not known."""
    score: float
    """mIoU of the scan, or without truth its mean confidence."""


class KeptScans:
    """Takes every scan, keeps few; the memory needed does not grow with the run."""

    def __init__(self) -> None:
        """Start without scans."""
        self.spread: list[KeptScan] = []
        self.most_classes: KeptScan | None = None
        self._stride, self._num_taken, self._classes_seen = 1, 0, -1
        self._worst: list[tuple[float, int, KeptScan]] = []

    @property
    def worst(self) -> list[KeptScan]:
        """The scans with the lowest scores, the lowest first."""
        return [scan for _, _, scan in sorted(self._worst, key=lambda entry: (-entry[0], entry[1]))]

    def add(self, scan: KeptScan, num_classes_seen: int) -> None:
        """Take a scan in which so many classes can be seen."""
        if self._num_taken % self._stride == 0:
            self.spread.append(scan)
            if len(self.spread) > NUM_SPREAD:
                self.spread, self._stride = self.spread[::2], 2 * self._stride
        self._num_taken += 1
        heapq.heappush(self._worst, (-scan.score, scan.index, scan))
        if len(self._worst) > NUM_WORST:
            heapq.heappop(self._worst)
        if num_classes_seen > self._classes_seen:
            self.most_classes, self._classes_seen = scan, num_classes_seen
