# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Text files of numbers, as many datasets publish their points, poses and labels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def read_table(path: Path, columns: int, error_class: type[ValueError]) -> NDArray[np.float64]:
    """Read a text file of numbers, ``(N, columns)``.

    Args:
        path: The file.
        columns: Numbers of a line.
        error_class: What is raised, the error of the room's dataset.

    Raises:
        ValueError: As ``error_class``, if the file is missing or empty, or a line has not as many numbers.
    """
    if not path.is_file():
        raise error_class(f"{path}: no such file, expected {columns} numbers a line")
    if not path.stat().st_size:
        raise error_class(f"{path}: got an empty file, expected {columns} numbers a line")
    try:
        table = np.loadtxt(path, dtype=np.float64, ndmin=2, encoding="latin-1")
    except (OSError, ValueError) as error:
        raise error_class(f"{path}: expected {columns} numbers a line: {error}") from error
    if table.shape[1] != columns:
        raise error_class(f"{path}: got {table.shape[1]} numbers a line, expected {columns}")
    return table
