# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The log of a training: CSV files with a row a step, and curves for TensorBoard."""

import csv
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any


class TrainingLog:
    """Appends to ``losses.csv`` (step, loss, further scalars) and ``validation.csv`` (step, score)."""

    def __init__(self, out: Path, step: int, tensorboard: bool = False) -> None:
        """Open the log in ``out``, without the steps after ``step``, which are about to be taken again.

        Raises:
            ModuleNotFoundError: If TensorBoard is wanted and its package is missing.
        """
        self.out, self.step, self._files = out, step, ExitStack()
        self._curves = _open_curves(out / "tensorboard", step) if tensorboard else None
        self._rows: dict[str, Any] = {"losses": self._open("losses")}

    def __enter__(self) -> "TrainingLog":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):  # type: ignore[no-untyped-def]
        """Close the files."""
        self._files.close()
        if self._curves is not None:
            self._curves.close()

    def write(self, step: int, scalars: Mapping[str, float], name: str = "losses") -> None:
        """Add the scalars of a step to ``NAME.csv``, the same scalars in the same order each time."""
        if name not in self._rows:
            self._rows[name] = self._open(name)
        _, rows = self._rows[name]
        rows.writerow([step, *(f"{value:.5f}" for value in scalars.values())])
        if self._curves is not None:
            for scalar, value in scalars.items():
                self._curves.add_scalar(f"{name}/{scalar}", value, step)

    def flush(self) -> None:
        """Write what is still held in memory."""
        for file, _ in self._rows.values():
            file.flush()
        if self._curves is not None:
            self._curves.flush()

    def _open(self, name: str) -> tuple[Any, Any]:
        path = self.out / f"{name}.csv"
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= self.step]
        path.write_text("".join(kept), encoding="utf-8")
        file = self._files.enter_context(path.open("a", newline="", encoding="utf-8"))
        return file, csv.writer(file, lineterminator="\n")


def _open_curves(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(f"tensorboard: true needs the package tensorboard, which fails: {error}") from error
    return SummaryWriter(str(folder), purge_step=step + 1)
