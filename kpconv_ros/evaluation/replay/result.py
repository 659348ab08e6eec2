# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of a recording gave, whichever way it ran."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from kpconv_ros.data.recorded_scans import RecordedScan
from kpconv_ros.evaluation.replay.registration import RegistrationTally
from kpconv_ros.evaluation.replay.segmentation import SegmentationTally
from kpconv_ros.evaluation.replay.transmission import TransmissionTally


@dataclass
class RunResult:
    """Counts and times, filled in while a recording runs."""

    num_scans: int = 0
    """Scans that were read."""
    num_given: int | None = None
    """Scans that were given to the parts, if not all of those that were read, each once."""
    points: int = 0
    """Points of them all."""
    length: float = 0.0
    """From the first stamp to the last, seconds."""
    truth_source: str = "none"
    """Where true labels came from."""
    pose_source: str = "none"
    """Where the segmentation's poses came from."""
    segmentation: SegmentationTally | None = None
    """If that part ran."""
    registration: RegistrationTally | None = None
    """If that part ran."""
    transmission: TransmissionTally | None = None
    """If that part ran."""
    answered: dict[str, int] = field(default_factory=dict)
    """Scans that each part answered, of those that answer every scan."""
    timings: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """Milliseconds by part and stage."""
    diagnostics: dict[str, Any] = field(default_factory=dict)
    """The last diagnostics of each node; live only."""
    usage: dict[str, Any] = field(default_factory=dict)
    """Processor and memory, see `UsageSampler.report`."""
    seconds: float = 0.0
    """How long the run took."""
    rate_search: dict[str, Any] | None = None
    """Rates that were tried; mode rate only."""
    problems: list[str] = field(default_factory=list)
    """What kept scans from being read or judged."""
    _first_ns: int | None = None

    def count(self, scan: RecordedScan) -> None:
        """Count a scan that is given to the parts."""
        self._first_ns = scan.stamp_ns if self._first_ns is None else self._first_ns
        self.length = max(self.length, (scan.stamp_ns - self._first_ns) * 1e-9)
        self.num_scans += 1
        self.points += len(scan.cloud.xyz)

    def note_times(self, part: str, timings_ms: dict[str, float]) -> None:
        """Take the milliseconds of each stage of a scan."""
        for stage, milliseconds in timings_ms.items():
            self.timings[part][stage].append(milliseconds)
