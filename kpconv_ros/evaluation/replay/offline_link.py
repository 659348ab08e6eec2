# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sender and receiver of a map in one process, by a clock of their own: the recording's."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.evaluation.replay.transmission import TransmissionTally
from kpconv_ros.pipelines.map_decoder import MapDecoder
from kpconv_ros.pipelines.map_encoder import MapEncoder

Array = NDArray[Any]
FRAME = "map"
SESSION = 1
SEND_PERIOD = 0.025
"""As the node encode: seconds between two looks at what may be sent."""
REQUEST_PERIOD = 0.25
"""As the node decode by default: seconds between two requests."""


class OfflineLink:
    """A link on which nothing is lost, and what is sent arrives at once; only the cap on the rate holds it up."""

    def __init__(self, tally: TransmissionTally) -> None:
        """Begin at time 0 with empty maps; the tally has the Configs, and counts."""
        self.tally = tally
        self._encoder = MapEncoder(tally.configs.encoder, 0.0, tally.codec)
        self._decoder = MapDecoder(codec=tally.codec)
        self._now = self._requested_at = 0.0
        self._timings_ms: dict[str, float] = {}

    def take_map(self, points: Array, labels: Array) -> None:
        """A map ``(N, 3)``, metres, with labels ``(N,)``, as the node takes it: the robot is in the middle of it."""
        self.tally.see(points, labels)
        began = time.perf_counter()
        position = points.mean(axis=0) if len(points) else np.zeros(3)
        self._encoder.insert(points, labels, position, FRAME, self._now)
        self._note("insert", began)

    def take_scan(self, points: Array, T_map_sensor: Array) -> None:  # noqa: N803
        """A scan ``(N, 3)``, metres, sensor frame, without labels, and its pose ``(4, 4)``."""
        placed, labels = self.tally.take_scan(points, T_map_sensor)
        began = time.perf_counter()
        self._encoder.insert_scan(placed, labels, T_map_sensor[:3, 3], FRAME, self._now)
        self._note("insert", began)

    def run_until(self, now: float) -> dict[str, float]:
        """Send and receive until a time, seconds; returns what that took since the last call, ms by stage."""
        while self._now + SEND_PERIOD <= now:
            self._now += SEND_PERIOD
            self._exchange()
        timings_ms, self._timings_ms = self._timings_ms, {}
        return timings_ms

    def end(self) -> None:
        """Have the receiver's map judged as it is now."""
        self.tally.end(self._now, *self._decoder.points())

    def _exchange(self) -> None:
        while True:
            began = time.perf_counter()
            data = self._encoder.next_message(self._now)
            self._note("send", began)
            if data is None:
                break
            self.tally.take_message(self._now, data)
            began = time.perf_counter()
            self._decoder.receive(SESSION, data, self._now)
            self._note("receive", began)
        if self._now - self._requested_at >= REQUEST_PERIOD:
            self._requested_at = self._now
            missing = self._decoder.missing(self._now)
            if missing.everything:
                self._encoder.announce_all()
            self._encoder.request(missing.absent, missing.lost, self._now)

    def _note(self, stage: str, began: float) -> None:
        taken = 1e3 * (time.perf_counter() - began)
        self._timings_ms[stage] = self._timings_ms.get(stage, 0.0) + taken
