# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times on a GPU, beside what its memory and its matrix units reach, and beside the plain torch twin."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch

WARM_UPS, ROUNDS = 3, 20
COPIED = 1 << 30  # bytes of the copy that measures the bandwidth
PRODUCT = 8192  # rows and columns of the product that measures the matrix units


@dataclass(frozen=True)
class Row:
    """One step."""

    name: str
    ms: float
    """Median over the rounds."""
    bytes: float
    """That must be read and written, at least."""
    operations: float
    """Of floating-point numbers, multiplications and additions."""
    copy_fraction: float
    """Bytes a second over those of a plain copy (read and written)."""
    matrix_fraction: float
    """Operations a second over those of a large matrix product in bfloat16."""
    twin_ms: float | None
    ratio: float | None
    """twin_ms / ms: above 1 ours is faster."""
    difference: float | None
    """Largest difference from the twin over the twin's largest value."""
    note: str


class Bench:
    """Measures on one device and keeps the rows."""

    def __init__(self, device: torch.device) -> None:
        """Measure the device itself; on the CPU every figure is only there to be written down."""
        self.device, self.rows = device, list[Row]()
        self.is_gpu = device.type == "cuda"
        size, edge = (COPIED, PRODUCT) if self.is_gpu else (1 << 16, 64)
        source = torch.zeros(size, dtype=torch.uint8, device=device)
        target, matrix = torch.empty_like(source), torch.ones(edge, edge, dtype=torch.bfloat16, device=device)
        self.bytes_per_ms = 2 * size / self.time(lambda: target.copy_(source))
        self.operations_per_ms = 2 * edge**3 / self.time(lambda: matrix @ matrix)

    def time(self, work: Callable[[], Any]) -> float:
        """Return the milliseconds of one call, median."""
        if not self.is_gpu:
            started = perf_counter()
            work()
            return 1e3 * (perf_counter() - started)
        for _ in range(WARM_UPS):
            work()
        times = []
        for _ in range(ROUNDS):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end))
        return median(times)

    def add(
        self,
        name: str,
        work: Callable[[], Any],
        num_bytes: float,
        operations: float,
        twin: Callable[[], Any] | None = None,
        difference: float | None = None,
        note: str = "",
    ) -> Row:
        """Measure a step and its twin, print and keep the row."""
        if self.is_gpu:
            ms, twin_ms = self.time(work), None if twin is None else self.time(twin)
        else:  # what was compared with its twin has run already
            ms, twin_ms = 1.0 if difference is not None else self.time(work), None
        copied, multiplied = num_bytes / ms / self.bytes_per_ms, operations / ms / self.operations_per_ms
        ratio = None if twin_ms is None else twin_ms / ms
        row = Row(name, ms, num_bytes, operations, copied, multiplied, twin_ms, ratio, difference, note)
        self.rows.append(row)
        print(self.line(row), flush=True)
        return row

    def line(self, row: Row) -> str:
        """Return the row as text; times of the interpreter say nothing and are left out."""
        if not self.is_gpu:
            text = f"{row.name:36} runs" + ("" if row.difference is None else f", differs by {row.difference:.1e}")
            return f"{text}; {row.note}"
        ratio = "" if row.ratio is None else f"{row.ratio:8.2f} times the twin"
        fractions = f"{100 * row.copy_fraction:6.1f} % copy {100 * row.matrix_fraction:6.1f} % matrix"
        return f"{row.name:36}{row.ms:9.3f} ms {fractions}{ratio}"

    def find(self, name: str) -> Row:
        """Return the row of a name."""
        return next(row for row in self.rows if row.name == name)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return all rows for a file, rounded."""
        return [
            {key: round(value, 5) if isinstance(value, float) else value for key, value in asdict(row).items()}
            for row in self.rows
        ]


def difference(ours: torch.Tensor, twin: torch.Tensor) -> float:
    """Return the largest difference over the largest value."""
    return float((ours.float() - twin.float()).abs().max() / twin.float().abs().max().clamp(min=1e-30))
