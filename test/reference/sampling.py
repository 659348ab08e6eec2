# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Farthest-point sampling by looking at every pair again at each step."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def brute_farthest(points: NDArray[np.float32], num_samples: int, seeds: Sequence[int] = (0,)) -> list[int]:
    """Pick rows of one cloud, after the seeds; a tie goes to the smaller row."""
    picked = list(seeds)
    while len(picked) < num_samples:
        gaps = [min(float(((point - points[row]) ** 2).sum()) for row in picked) for point in points]
        picked.append(int(np.argmax(gaps)))
    return picked
