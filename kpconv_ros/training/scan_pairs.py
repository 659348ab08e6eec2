# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of scans as padded columns, with the motion between the first guess and the truth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from kpconv_ros.geometry.se3 import invert, transform_points
from kpconv_ros.networks.patch_sampler import PatchSamplerConfig
from kpconv_ros.registration.patches import Voxels, cut_columns, ground_height, pad_columns
from kpconv_ros.training.scan_drives import PosedVoxels

LEAST_VOXELS = 8  # a column with fewer says little
TILT = 0.02  # radians, by which the vehicle is off the vertical


class PairBatch(NamedTuple):
    """Columns of a target scan, then those of a source scan that stands where the first guess puts it."""

    patches: Tensor
    """Positions in columns from the middle on the ground, and features, ``(C, n, 3 + F)``."""
    normals: Tensor
    """``(C, n, 3)``, shared frame."""
    centers: Tensor
    """``(C, 3)``, metres, shared frame."""
    num_target: Tensor
    """Columns of the target, a scalar int64."""
    T_true_guess: Tensor
    """Motion that takes the source from the guess to where it belongs, shared frame, ``(4, 4)``."""


def draw_pair(
    drive: Sequence[PosedVoxels],
    config: PatchSamplerConfig,
    size: int,
    guess: tuple[float, float],
    generator: np.random.Generator,
) -> PairBatch:
    """Draw two scans of a drive, a shared frame around the target, and a first guess of the source's place.

    Args:
        drive: At least two scans.
        config: Sizes of the columns.
        size: Points of a padded column.
        guess: Largest standard deviation of the guess along each axis, metres, and about it, radians; each pair draws
            a share of both.
        generator: Source of chance.
    """
    first, second = generator.choice(len(drive), 2, replace=False)
    target, source = drive[int(first)], drive[int(second)]
    turn = Rotation.from_euler("zyx", [generator.uniform(-np.pi, np.pi), *generator.normal(0, TILT, 2)])
    T_shared_target = _pose(turn, np.append(generator.uniform(-0.5, 0.5, 2) * config.cell_size, 0.0))
    share = generator.random()
    angle, shift = generator.normal(0, share * guess[1], 3), generator.normal(0, share * guess[0], 3)
    correction = _pose(Rotation.from_rotvec(angle), shift)
    T_target_source = invert(target.T_map_sensor) @ source.T_map_sensor
    T_guess = invert(correction) @ T_shared_target @ T_target_source
    sides = [
        _cut(scan.voxels, pose, config, size, generator)
        for scan, pose in ((target, T_shared_target), (source, T_guess))
    ]
    patches, normals, centers = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*sides, strict=True))
    T_true_guess = torch.from_numpy(correction.astype(np.float32))
    return PairBatch(patches, normals, centers, torch.tensor(len(sides[0][0])), T_true_guess)


def _pose(rotation: Rotation, translation: NDArray[np.float64]) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.as_matrix(), translation
    return pose


def _cut(
    voxels: Voxels,
    T_shared_sensor: NDArray[np.float64],
    config: PatchSamplerConfig,
    size: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return patches, normals and centres of a scan's columns."""
    order = generator.permutation(len(voxels.rows))
    points = transform_points(T_shared_sensor, voxels.points[order]).astype(np.float32)
    normals = (voxels.normals[order] @ T_shared_sensor[:3, :3].T).astype(np.float32)
    columns = cut_columns(points, config.cell_size, config.reach, ground_height(points))
    kept = np.diff(columns.starts) >= LEAST_VOXELS
    rows, centers = pad_columns(columns, size)[kept], columns.centers[kept]
    local = (points[rows] - centers[:, None]) / config.cell_size
    return np.concatenate([local, voxels.features[order][rows]], axis=2), normals[rows], centers
