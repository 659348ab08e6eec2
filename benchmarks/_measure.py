# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Interleaved timing of two ways to do the same work, and the memory each needs.

Both run in one process in turn, A B A B, so that whatever else the machine does slows both. The ratio is that of the
round with the median ratio, and that round's two times are given. Peak memory is how far the resident set rises during
one call: free heap pages are given back first (``malloc_trim``) and the kernel's high-water mark is reset
(``/proc/self/clear_refs``).
"""

import ctypes
import gc
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks._inputs import FOLDER, source

TUNED = {"MALLOC_MMAP_THRESHOLD_": str(8 << 30), "MALLOC_TRIM_THRESHOLD_": str(16 << 30)}
"""glibc keeps freed memory instead of giving it back, so big temporaries meet no page faults."""


@dataclass(frozen=True)
class Row:
    """One comparison."""

    name: str
    ours_ms: float
    """Wall time of the round with the median ratio."""
    peer: str
    peer_ms: float
    """Wall time of the peer in that round."""
    ratio: float
    """peer_ms / ours_ms: above 1 ours is faster."""
    ours_peak_mb: float | None
    """Memory beyond what was held before the call, MiB."""
    peer_peak_mb: float | None
    ours_cpu_ms: float | None
    """Processor time of all threads, median."""
    peer_cpu_ms: float | None
    cpu_ratio: float | None
    """Median over the rounds of peer's over our processor time."""
    rounds: int
    allocator: str
    threads: int
    input: str
    note: str = ""


class Side:
    """One way to do the work; ``prepare`` runs untimed before each call and gives its argument."""

    def __init__(self, work: Callable[[Any], Any], prepare: Callable[[], Any] = lambda: None) -> None:
        """Join the two."""
        self.work, self.prepare = work, prepare

    def time(self) -> tuple[float, float]:
        """Return wall and processor milliseconds of one call."""
        argument = self.prepare()
        cpu, wall = time.process_time(), time.perf_counter()
        result = self.work(argument)
        times = 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)
        del result
        return times

    def peak_mb(self) -> float:
        """Return how far memory rises in one call, preparation included."""
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _memory_mb("VmRSS")
        result = self.work(self.prepare())
        peak = _memory_mb("VmHWM")
        del result
        return peak - before


def _memory_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def is_tuned() -> bool:
    """Tell whether this process runs with the tuned allocator."""
    return all(os.environ.get(name) == value for name, value in TUNED.items())


def compare(name: str, ours: Side, peer_name: str, peer: Side, rounds: int = 7, warm_up: int = 1, **extra: Any) -> Row:
    """Measure both; the name gets the suffix ``_tuned`` under the tuned allocator."""
    for _ in range(warm_up):
        ours.time(), peer.time()
    times = sorted(((ours.time(), peer.time()) for _ in range(rounds | 1)), key=lambda pair: pair[1][0] / pair[0][0])
    middle = len(times) // 2
    (ours_ms, _), (peer_ms, _) = times[middle]
    cpu = [(a[1], b[1]) for a, b in times]
    row = Row(
        name=name + ("_tuned" if is_tuned() else ""),
        ours_ms=ours_ms,
        peer=peer_name,
        peer_ms=peer_ms,
        ratio=peer_ms / ours_ms,
        ours_peak_mb=ours.peak_mb(),
        peer_peak_mb=peer.peak_mb(),
        ours_cpu_ms=sorted(a for a, _ in cpu)[middle],
        peer_cpu_ms=sorted(b for _, b in cpu)[middle],
        cpu_ratio=sorted(b / a for a, b in cpu)[middle],
        rounds=len(times),
        allocator="tuned" if is_tuned() else "default",
        threads=torch.get_num_threads(),
        input=extra.pop("input", source()),
        **extra,
    )
    print_row(row)
    return row


HEADER = f"{'name':42}{'ours ms':>9}{'peer ms':>9}{'ratio':>7}{'cpu':>7}{'ours MB':>9}{'peer MB':>9}  peer"


def print_row(row: Row) -> None:
    """Print one line of the table under :data:`HEADER`."""
    memory = ["-" if value is None else f"{value:.0f}" for value in (row.ours_peak_mb, row.peer_peak_mb)]
    times = f"{row.ours_ms:9.1f}{row.peer_ms:9.1f}{row.ratio:7.2f}"
    cpu = "-" if row.cpu_ratio is None else f"{row.cpu_ratio:.2f}"
    print(f"{row.name:42}{times}{cpu:>7}{memory[0]:>9}{memory[1]:>9}  {row.peer}", flush=True)


def write_rows(name: str, rows: list[Row]) -> None:
    """Write ``out/bench/NAME.json`` (``NAME_tuned.json`` under the tuned allocator)."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}{'_tuned' if is_tuned() else ''}.json"
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
