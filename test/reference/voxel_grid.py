# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grid subsampling with a dictionary of cells."""

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

Cell = tuple[int, int, int, int]


def brute_cells(points: NDArray[np.float32], lengths: list[int], voxel_size: float) -> dict[Cell, list[int]]:
    """Return the rows of the points in each cell ``(cloud, x, y, z)``."""
    cells: dict[Cell, list[int]] = defaultdict(list)
    clouds = np.repeat(np.arange(len(lengths)), lengths)
    for row, (cloud, point) in enumerate(zip(clouds, points.astype(np.float64), strict=True)):
        x, y, z = np.floor(point * (1.0 / voxel_size)).astype(int).tolist()
        cells[int(cloud), x, y, z].append(row)
    return dict(cells)


def brute_majority(labels: NDArray[np.int64]) -> int:
    """Return the most frequent label, the smaller one in a tie."""
    counts = Counter(labels.tolist())
    return min(counts, key=lambda label: (-counts[label], label))
