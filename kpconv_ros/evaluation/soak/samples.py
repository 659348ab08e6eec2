# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory, handles and threads of processes over hours, in a file that grows by a line a sample."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SAMPLES_FILE = "samples.jsonl"
MIB = 2**20


class SoakError(RuntimeError):
    """A soak that cannot be run, or notes of one that cannot be used."""


class SampleFile:
    """Notes of a soak, a JSON object a line, each on the disk at once: what was noted outlives a killed run."""

    def __init__(self, path: Path) -> None:
        """Begin a file anew."""
        self.path = path
        self._file = path.open("w", buffering=1, encoding="utf-8")

    def note(self, kind: str, **what: Any) -> None:
        """Add a line of a kind: ``begin``, ``rates``, ``sample`` or ``end``."""
        self._file.write(json.dumps({"kind": kind, **what}) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class ProcessSampler:
    """Looks at processes in a thread of its own, as long as the ``with`` lasts."""

    def __init__(self, pids: Callable[[], Mapping[str, int]], file: SampleFile, period: float) -> None:
        """Watch.

        Args:
            pids: Gives the processes by name; asked at each look, for some come and go.
            file: What is seen is noted there.
            period: Between two looks, seconds.
        """
        self._pids, self._file, self._period = pids, file, period
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="samples", daemon=True)

    def __enter__(self) -> ProcessSampler:  # noqa: PYI034 (Self is of Python 3.11)
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._period):
            seconds = round(time.monotonic() - self._began, 1)
            seen = {name: look_at(pid) for name, pid in self._pids().items()}
            self._file.note("sample", seconds=seconds, processes={n: look for n, look in seen.items() if look})


def look_at(pid: int) -> dict[str, float] | None:
    """Memory [MiB], processor time [s], open handles and threads of a process; None where it has ended.

    Resident memory counts a shared page in full, proportional memory (PSS) by the number of its users; own memory (USS)
    counts none of them.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            memory, times = process.memory_full_info(), process.cpu_times()
            return {
                "rss_mb": round(memory.rss / MIB, 2),
                "pss_mb": round(memory.pss / MIB, 2),
                "uss_mb": round(memory.uss / MIB, 2),
                "cpu_s": round(times.user + times.system, 2),
                "handles": process.num_fds(),
                "threads": process.num_threads(),
            }
    except psutil.Error:
        return None


@dataclass
class SoakNotes:
    """What a sample file tells."""

    begin: dict[str, Any] = field(default_factory=dict)
    rates: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)


def read_notes(path: Path) -> SoakNotes:
    """Read a sample file, of a run that goes on or was killed as well.

    Raises:
        SoakError: If it is missing, no such file, or without samples.
    """
    notes = SoakNotes()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        for line in lines[:-1]:  # what follows the last end of line was not written in full
            what = json.loads(line)
            kind = what.pop("kind")
            if kind == "sample":
                notes.samples.append(what)
            else:
                setattr(notes, {"begin": "begin", "rates": "rates", "end": "end"}[kind], what)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SoakError(f"got {path}, expected the notes of a soak: {error!r}") from error
    if not notes.samples:
        raise SoakError(f"{path}: got no sample, expected some")
    return notes
