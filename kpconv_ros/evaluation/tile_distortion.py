# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a decoded tile is from what was encoded."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.codec.tile import TILE_SIZE
from kpconv_ros.geometry.assignment import match_by_prices
from kpconv_ros.geometry.earth_mover import emkd

NEAR = 0.2
"""Points are called near within this distance, metres."""


class Distortion(NamedTuple):
    """Both directions count alike in all of them."""

    chamfer_m: float
    """Mean distance to the nearest point of the other cloud, mean of both directions."""
    d1_m: float
    """Root of the mean square of these distances, of the worse direction: D1 of MPEG."""
    within_20_cm: float
    """Share of points whose nearest is within 0.2 m, mean of both directions."""


def measure_distortion(original: NDArray[np.float32], decoded: NDArray[np.float32]) -> Distortion:
    """Compare clouds ``(N, 3)`` and ``(M, 3)``, metres."""
    there, back = cKDTree(decoded).query(original)[0], cKDTree(original).query(decoded)[0]
    root = float(np.sqrt(max(np.square(there).mean(), np.square(back).mean())))
    near = ((there < NEAR).mean() + (back < NEAR).mean()) / 2
    return Distortion(float(there.mean() + back.mean()) / 2, root, float(near))


def d1_psnr(d1_m: float, peak: float = TILE_SIZE) -> float | None:
    """D1 as peak signal-to-noise ratio, dB: 10 log10(3 peak^2 / mean square), MPEG's with the edge of a tile as peak.

    None if nothing differs.
    """
    return 10.0 * math.log10(3.0 * peak**2 / d1_m**2) if d1_m > 0.0 else None


def measure_emkd(original: NDArray[np.float32], decoded: NDArray[np.float32], cell_size: int) -> float:
    """Return EM-kD with cells of so many points and distances, not squares, metres.

    The decoded points are brought to the number of the original ones: some of them, or all and some of them again.
    """
    count, generator = len(original), np.random.default_rng(0)
    whole = np.tile(np.arange(len(decoded)), count // len(decoded))
    rows = np.concatenate([whole, generator.permutation(len(decoded))[: count - len(whole)]])
    one, other = torch.from_numpy(original)[None], torch.from_numpy(decoded[rows])[None]
    return float(emkd(one, other, cell_size, power=1.0, matcher=match_by_prices))
