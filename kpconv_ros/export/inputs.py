# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs of an exported network from a cloud: NumPy arrays in, NumPy arrays out.

:func:`cut_sphere` makes voxels and features of a lidar scan, :func:`lay_out_object` of a single object, and
:func:`prepare_inputs` the pyramid of any voxels.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from kpconv_ros.data.shapes import make_shape, voxelize_shape
from kpconv_ros.export.description import Description, ExportError
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.mapping.features import build_features
from kpconv_ros.networks.padded import pad_pyramid
from kpconv_ros.networks.pyramid import build_pyramid
from kpconv_ros.pipelines.shape_voter import PLAIN

Array = NDArray[Any]


class SphereInput(NamedTuple):
    """The voxels of a sphere or an object, as the network was trained on them."""

    points: Array
    """Barycentres, ``(M, 3)`` float32, metres relative to the centre; of an object in its radii."""
    features: Array
    """``(M, F)`` float32."""
    voxel_of_point: Array
    """Row of ``points`` for each point of the scan, ``(N,)`` int64; -1 outside of the sphere."""


def prepare_inputs(
    description: Description, points: ArrayLike, features: ArrayLike, lengths: ArrayLike | None = None
) -> dict[str, Array]:
    """Subsample voxels to the levels of a network and find the neighbours in each.

    Args:
        description: Of the exported network.
        points: One point a voxel of ``description.voxel_size``, ``(N, 3)``, metres; several clouds one after the other.
        features: ``(N, num_features)``.
        lengths: Points of each cloud, ``(B,)``; one cloud if None.

    Returns:
        The inputs of the exported file by name, float32 and int64, as listed in :mod:`kpconv_ros.networks.padded`.

    Raises:
        ExportError: If a shape or a value does not fit, or a cloud is empty.
    """
    points, features = np.ascontiguousarray(points, np.float32), np.ascontiguousarray(features, np.float32)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ExportError(f"points: expected finite ones, shape (N, 3), got shape {points.shape}")
    expected = (len(points), description.num_features)
    if features.shape != expected:
        raise ExportError(f"features: expected shape {expected}, got {features.shape}")
    counts = np.asarray([len(points)] if lengths is None else lengths, np.int64)
    if counts.ndim != 1 or counts.sum() != len(points) or not len(counts) or counts.min() < 1:
        raise ExportError(f"lengths: expected clouds of one point or more, {len(points)} in all, got {counts.tolist()}")
    sizes = (description.voxel_size, description.radii, description.max_neighbors, description.pooling_radii)
    levels = build_pyramid(torch.from_numpy(points), torch.from_numpy(counts), *sizes)
    inputs = pad_pyramid(levels, torch.from_numpy(features), description.classifies_clouds)
    return {name: tensor.numpy() for name, tensor in inputs.items()}


def cut_sphere(
    description: Description,
    points: ArrayLike,
    intensity: ArrayLike | None,
    center: ArrayLike,
    ground_z: float,
    sensor: ArrayLike = (0.0, 0.0, 0.0),
) -> SphereInput:
    """Cut the voxels around a place out of a scan, or out of several in one frame.

    Args:
        description: Of a network exported with its manifest, so that its features are known.
        points: ``(N, 3)`` metres, finite, z up.
        intensity: ``(N,)`` as the sensor gives it; 0 everywhere if None.
        center: ``(3,)`` of the sphere, metres.
        ground_z: Height of the ground under the sensor, metres, in the frame of the points.
        sensor: ``(3,)`` where the sensor stood, metres.

    Returns:
        The voxels, possibly none.

    Raises:
        ExportError: If the features are not known, or a shape does not fit.
    """
    if not description.features:
        raise ExportError(f"{description.model}: expected known features; weights without a manifest have none")
    cloud = np.ascontiguousarray(points, np.float32)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        raise ExportError(f"points: expected shape (N, 3), got {cloud.shape}")
    raw = np.zeros(len(cloud), np.float32) if intensity is None else np.asarray(intensity, np.float32)
    if raw.shape != (len(cloud),):
        raise ExportError(f"intensity: expected shape ({len(cloud)},), got {raw.shape}")
    ranges = np.linalg.norm(cloud - np.asarray(sensor, np.float32), axis=1)
    values = np.stack([np.clip(raw / np.float32(description.intensity_scale), 0, 1), ranges], axis=1)
    voxels = grid_subsample(
        torch.from_numpy(cloud), torch.tensor([len(cloud)]), description.voxel_size, torch.from_numpy(values)
    )
    assert voxels.features is not None
    places, means = voxels.points.numpy(), voxels.features.numpy()
    offsets = places - np.asarray(center, np.float32)
    inside = np.square(offsets).sum(1) < description.sphere_radius**2
    features = build_features(description.features, places[:, 2] - np.float32(ground_z), means[:, 0], means[:, 1])
    row_of_voxel = np.where(inside, np.cumsum(inside) - 1, -1)
    return SphereInput(offsets[inside], features[inside], row_of_voxel[voxels.voxel_of_point.numpy()])


def lay_out_object(description: Description, points: ArrayLike) -> SphereInput:
    """Scale an object to the unit sphere and lay it on the grid.

    Args:
        description: Of a network for single objects, exported with its manifest.
        points: ``(P, 3)``, in any unit and place.

    Raises:
        ExportError: If the network is of another kind, or the features are not known.
        ShapeError: If there are no points, or one is not finite.
    """
    if not description.classifies_clouds or not description.features:
        raise ExportError(f"{description.model}: expected a network for objects with known features, got another")
    shape = make_shape(np.asarray(points, np.float64).reshape(-1, 3), 0)
    voxels = voxelize_shape(shape, description.voxel_size, description.features, PLAIN, np.random.default_rng(0))
    return SphereInput(voxels.points.numpy(), voxels.features.numpy(), voxels.voxel_of_point.numpy())
