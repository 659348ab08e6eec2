# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pyramids with the neighbour limits of the authors' code, and the dense twins of ``test/reference``."""

import sys
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from benchmarks._inputs import VOXEL_SIZE, load_sphere
from kpconv_ros.geometry.neighbors import find_neighbor_lists
from kpconv_ros.layers.neighborhood import Neighborhood
from kpconv_ros.networks.pyramid import Level, build_pyramid

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
from reference import kpconv as dense  # noqa: E402
from reference import kpfcnn as dense_network  # noqa: E402

__all__ = [
    "dense",
    "dense_network",
    "forget_influences",
    "layer_neighborhood",
    "limit_of",
    "limited_pyramid",
    "relative_error",
]
KEPT = 0.9  # share of points that keep all their neighbours under the authors' limits


def limit_of(neighborhood: Neighborhood) -> int:
    """Return the neighbour limit that the authors' calibration picks: 90 % of the points keep all their neighbours.

    Both sides get it, so that the dense layer is not slowed by a few crowded rows.
    """
    counts = neighborhood.lists.row_starts.diff().sort()[0]
    return int(counts[int(KEPT * (len(counts) - 1))])


@lru_cache
def layer_neighborhood(radius: float) -> Neighborhood:
    """Return the sphere around itself, neighbours up to ``radius`` cells, limited like the authors'."""
    points, lengths = load_sphere()
    search = (points, points, lengths, lengths, radius * VOXEL_SIZE)
    full = Neighborhood(points, points, find_neighbor_lists(*search))
    return Neighborhood(points, points, find_neighbor_lists(*search, limit_of(full)))


def sphere_pyramid(radii: tuple[float, ...]) -> list[Level]:
    """Return the levels of the sphere, limited likewise."""
    return limited_pyramid(*load_sphere(), radii)


def limited_pyramid(points: Tensor, lengths: Tensor, radii: tuple[float, ...]) -> list[Level]:
    """Return the levels of packed voxels ``(N, 3)``, limited likewise."""
    full = build_pyramid(points, lengths, VOXEL_SIZE, radii)
    return build_pyramid(points, lengths, VOXEL_SIZE, radii, tuple(limit_of(level.neighborhood) for level in full))


def forget_influences(neighborhoods: list[Neighborhood]) -> None:
    """Drop what was found before, so that the next call finds it again."""
    for neighborhood in neighborhoods:
        neighborhood.known.clear()


def relative_error(ours: Tensor, peer: Tensor) -> float:
    """Return the largest difference over the largest value."""
    return float((ours - peer).abs().max() / peer.abs().max())
