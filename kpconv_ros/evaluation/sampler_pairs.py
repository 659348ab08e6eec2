# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of real scans with a true motion: candidates that every sampler chooses from, and the reference."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import small_gicp
from numpy.typing import NDArray

from kpconv_ros.data.semantic_kitti import KittiError, KittiSequence
from kpconv_ros.geometry.se3 import invert
from kpconv_ros.registration.patches import describe_voxels
from kpconv_ros.registration.solver import SolverConfig, Target, register
from kpconv_ros.registration.surface import Surface, estimate_surface

Array = NDArray[Any]
VOXEL_SIZE = 0.25  # m
REACH = 40.0  # m, half the edge of the square around the sensor
REFERENCE = SolverConfig(method="gicp", max_distance=0.5, normal_neighbors=20, max_iterations=50)
REFERENCE_VOXEL = 0.1  # m


class Candidates(NamedTuple):
    """The points of a scan that samplers choose from: one a voxel, in the square around the sensor, with a normal."""

    points: Array
    """``(N, 3)`` float32, metres, sensor frame."""
    surface: Surface
    """Planes around them, fitted to all points of the scan."""


class Pair(NamedTuple):
    """Two scans of a sequence."""

    sequence: str
    gap: int
    """Scans between them, 1 for neighbours."""
    target: Candidates
    source: Candidates
    T_target_source: Array
    """Reference, ``(4, 4)``."""


def find_candidates(points: Array) -> Candidates:
    """Thin a scan out to the points that all samplers are offered.

    Args:
        points: ``(N, 3)``, metres, sensor frame, finite.
    """
    surface = estimate_surface(points)
    rows = describe_voxels(points, surface, VOXEL_SIZE).rows
    inside = (np.abs(points[rows, :2]).max(1) < REACH) & surface.normals[rows].any(1)
    rows = rows[inside]
    return Candidates(points[rows], Surface(*(values[rows] for values in surface)))


def refine_pose(target: Array, source: Array, T_target_source: Array) -> Array:  # noqa: N803
    """Refine a motion by generalized ICP on all points, voxels of 0.1 m.

    Args:
        target: ``(N, 3)``, metres, its sensor frame.
        source: ``(M, 3)``, metres, its sensor frame.
        T_target_source: From the dataset's poses, ``(4, 4)``.
    """
    clouds = [small_gicp.voxelgrid_sampling(cloud, REFERENCE_VOXEL).points()[:, :3] for cloud in (target, source)]
    return register(clouds[1], Target(clouds[0], REFERENCE), T_target_source).T_target_source


def load_pairs(root: Path, sequence: str, gaps: tuple[int, ...], pairs_of_gap: int) -> Iterator[Pair]:
    """Yield pairs of one sequence, those of a gap spread over it.

    Raises:
        KittiError: If it has no poses, or too few scans.
    """
    scans = KittiSequence(root, sequence)
    if scans.poses is None or len(scans) <= max(gaps):
        raise KittiError(f"{scans.folder}: expected poses.txt and more than {max(gaps)} scans, got {len(scans)} scans")
    clouds = {}
    for gap in gaps:
        for first in np.unique(np.linspace(0, len(scans) - 1 - gap, pairs_of_gap).round().astype(int)):
            rows = (int(first), int(first) + gap)
            for row in rows:
                if row not in clouds:
                    points = scans.scan(row).points
                    clouds[row] = (points, find_candidates(points))
            guess = invert(scans.poses[rows[0]]) @ scans.poses[rows[1]]
            truth = refine_pose(clouds[rows[0]][0], clouds[rows[1]][0], guess)
            yield Pair(sequence, gap, clouds[rows[0]][1], clouds[rows[1]][1], truth)
