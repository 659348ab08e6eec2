# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory of processes over time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil

PERIOD = 0.5
"""Seconds between two looks."""
MAX_SAMPLES = 2000
"""When so many were taken, every other one is let go and the period doubles."""


class UsageSampler:
    """Watches processes in a thread of its own; a context manager."""

    def __init__(
        self, pids: Mapping[str, int], period: float = PERIOD, gauges: Mapping[str, Callable[[], float]] | None = None
    ) -> None:
        """Watch.

        Args:
            pids: Processes by the names that the report gives them.
            period: Between two looks, seconds.
            gauges: What else is read at each look, by name.
        """
        self._gauges = dict(gauges or {})
        self._readings: dict[str, list[float]] = {name: [] for name in self._gauges}
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._period = period
        self._times: list[float] = []
        self._samples: dict[str, list[tuple[float | None, float | None, float | None]]] = {
            name: [] for name in self._processes
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)

    def __enter__(self) -> UsageSampler:  # noqa: PYI034 (Self is of Python 3.11)
        self._began = time.monotonic()
        for process in self._processes.values():
            _look_at(process)  # processor time counts from here
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def report(self) -> dict[str, Any]:
        """Time in seconds, processor time in percent of one core, memory in MiB, threads; None once it had ended."""
        columns = {name: list(zip(*samples)) if samples else [(), (), ()] for name, samples in self._samples.items()}
        return {
            "time_s": [round(moment, 2) for moment in self._times],
            "processes": {
                name: {"cpu_percent": list(cpu), "memory_mb": list(memory), "threads": list(threads)}
                for name, (cpu, memory, threads) in columns.items()
            },
            "gauges": {name: list(readings) for name, readings in self._readings.items()},
        }

    def _watch(self) -> None:
        while not self._stop.wait(self._period):
            self._times.append(time.monotonic() - self._began)
            for name, process in self._processes.items():
                self._samples[name].append(_look_at(process))
            for name, gauge in self._gauges.items():
                self._readings[name].append(round(gauge(), 1))
            if len(self._times) >= MAX_SAMPLES:
                self._thin_out()

    def _thin_out(self) -> None:
        self._times = self._times[::2]
        self._samples = {name: samples[::2] for name, samples in self._samples.items()}
        self._readings = {name: readings[::2] for name, readings in self._readings.items()}
        self._period *= 2


def _look_at(process: psutil.Process) -> tuple[float | None, float | None, float | None]:
    try:
        with process.oneshot():
            memory = process.memory_info().rss / 2**20
            return round(process.cpu_percent(), 1), round(memory, 1), float(process.num_threads())
    except psutil.Error:
        return None, None, None
