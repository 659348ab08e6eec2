# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The log of a training: a CSV with a row a step."""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType


class TrainingLog:
    """Appends to ``losses.csv``: step, loss, further scalars."""

    def __init__(self, out: Path, step: int) -> None:
        """Open the log in ``out``, without the steps after ``step``, which are about to be taken again."""
        path = out / "losses.csv"
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= step]
        path.write_text("".join(kept), encoding="utf-8")
        self._file = path.open("a", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file, lineterminator="\n")

    def __enter__(self) -> "TrainingLog":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):  # type: ignore[no-untyped-def]
        """Close the files."""
        self._file.close()

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of a step, the same names in the same order each time."""
        self._rows.writerow([step, *(f"{value:.5f}" for value in scalars.values())])

    def flush(self) -> None:
        """Write what is still held in memory."""
        self._file.flush()
