# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft projection and the sample made of it, one query at a time in float64."""

import numpy as np
from numpy.typing import NDArray

from reference.sampling import brute_farthest

Array = NDArray[np.float64]


def project_one(
    query: Array, points: Array, k: int, temperature: float, scores: Array
) -> tuple[NDArray[np.int64], Array]:
    """Return the k nearest points of a query, nearest first, and their weights."""
    squares = ((points - query) ** 2).sum(1)
    nearest = np.argsort(squares, kind="stable")[:k]
    raised = np.exp(-squares[nearest] / temperature**2 + scores[nearest])
    return nearest, raised / raised.sum()


def sample_one(matched: list[int], points: NDArray[np.float32], num_samples: int) -> list[int]:
    """Keep each matched row once, in order, and complete by farthest points."""
    kept = list(dict.fromkeys(matched))[:num_samples]
    return brute_farthest(points, num_samples, kept)
