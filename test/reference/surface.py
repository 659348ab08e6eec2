# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes by NumPy's eigenvalues, one point after the other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def estimate_surface(points: Array, cell_size: float) -> tuple[Array, Array, Array]:
    """Return normals towards the origin (N, 3), variation (N,) and planarity (N,)."""
    points = points.astype(np.float64)
    cells = np.floor(points / cell_size).astype(np.int64)
    normals, variation, planarity = np.zeros((len(points), 3)), np.full(len(points), 1 / 3), np.zeros(len(points))
    for i in range(len(points)):
        near = points[(np.abs(cells - cells[i]) <= 1).all(1)]
        if len(near) < 5:
            continue
        values, vectors = np.linalg.eigh(np.cov(near.T, bias=True))
        normals[i] = -vectors[:, 0] * np.sign(vectors[:, 0] @ points[i])
        variation[i], planarity[i] = values[0] / values.sum(), (values[1] - values[0]) / values[2]
    return normals, variation, planarity
