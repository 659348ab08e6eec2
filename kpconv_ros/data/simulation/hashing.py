# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that look random but belong to a place, so that leaves, windows and grass stay where they are."""

from math import floor

from numba import njit


@njit(cache=True, nogil=True, inline="always")
def hash_unit(i: int, j: int, k: int, seed: int) -> float:
    """A number in [0, 1) of four integers."""
    h = (i * 374761393 + j * 668265263 + k * 1274126177 + seed * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 3266489917) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFFFF) / 16777216.0


@njit(cache=True, nogil=True)
def value_noise(x: float, y: float, seed: int) -> float:
    """Smooth noise in [-1, 1] over the plane with a lattice of one unit."""
    i, j = floor(x), floor(y)
    u, v = x - i, y - j
    low = hash_unit(i, j, 0, seed) * (1.0 - u) + hash_unit(i + 1, j, 0, seed) * u
    high = hash_unit(i, j + 1, 0, seed) * (1.0 - u) + hash_unit(i + 1, j + 1, 0, seed) * u
    return float(2.0 * (low * (1.0 - v) + high * v) - 1.0)
