# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Single objects as a network sees them, in training and in every pass of a test: altered, on the grid, packed.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.1: objects in the unit sphere, a first cell of 2 cm,
augmentation by scaling, flipping and perturbing the points, no rotation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.config_io import param
from kpconv_ros.geometry.voxel_grid import grid_subsample

SHAPE_FEATURES = ("one", "x", "y", "z")


class ShapeError(ValueError):
    """Objects that cannot be prepared."""


@dataclass(frozen=True)
class ShapeAugmentationConfig:
    """How an object is altered."""

    scale: float = param(0.1, "each axis is scaled by 1 +- this", 0.0, 0.9)
    flip: tuple[float, float, float] = param((0.5, 0.0, 0.0), "probability that x, y, z change their sign", 0.0, 1.0)
    jitter: float = param(0.001, "noise on every coordinate, in radii of the object, standard deviation", 0.0, 1.0)


class Shape(NamedTuple):
    """An object of a dataset."""

    points: NDArray[np.float32]
    """``(P, 3)``, in the unit sphere."""
    category: int
    """Object class."""
    labels: NDArray[np.integer] | None = None
    """Part of each point, ``(P,)``, 0 is unlabelled; None for objects without parts."""


class ShapeVoxels(NamedTuple):
    """An object on the grid."""

    points: Tensor
    """``(M, 3)``, in radii of the object."""
    features: Tensor
    """``(M, F)``."""
    category: int
    """Object class."""
    labels: Tensor
    """Part of each voxel, ``(M,)`` int64, -1 does not count; empty for an object without parts."""
    voxel_of_point: Tensor
    """Row of ``points`` that each point of the object fell into, ``(P,)`` int64."""


class ShapeBatch(NamedTuple):
    """Objects on the grid, packed."""

    points: Tensor
    """``(N, 3)``, in radii of the object."""
    lengths: Tensor
    """``(B,)`` int64."""
    features: Tensor
    """``(N, F)``."""
    categories: Tensor
    """Object class of each, ``(B,)`` int64."""
    labels: Tensor
    """Part of each voxel, ``(N,)`` int64, -1 does not count; empty for objects without parts."""


def make_shape(points: NDArray[np.floating], category: int, labels: NDArray[np.integer] | None = None) -> Shape:
    """Return an object scaled to the unit sphere.

    Raises:
        ShapeError: As :func:`fit_unit_sphere`.
    """
    return Shape(fit_unit_sphere(points), category, labels)


def fit_unit_sphere(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Move the middle of the box around points ``(P, 3)`` to the origin and scale them until the farthest is at 1.

    Points that are all equal go to the origin. (The middle of the box, not the mean, is that of the authors' code.)

    Raises:
        ShapeError: If there is none, or one is not finite.
    """
    if not len(points) or not np.isfinite(points).all():
        raise ShapeError(f"points: expected one or more, all finite, got {len(points)}")
    wide = points.astype(np.float64)
    centred = wide - (wide.min(axis=0) + wide.max(axis=0)) / 2
    radius = np.linalg.norm(centred, axis=1).max()
    return np.ascontiguousarray(centred / (radius or 1.0), np.float32)


def voxelize_shape(
    shape: Shape,
    voxel_size: float,
    features: Sequence[str],
    augmentation: ShapeAugmentationConfig,
    generator: Generator,
) -> ShapeVoxels:
    """Alter an object and lay it on the grid.

    Args:
        shape: The object.
        voxel_size: In radii of the object: metres, if the radius is taken for one.
        features: From :data:`SHAPE_FEATURES`: 1 everywhere, and the coordinates of a voxel.
        augmentation: How it is altered.
        generator: Draws that and the grid's corner.

    Raises:
        ShapeError: On an unknown feature, or none.
    """
    if not features or not set(features) <= set(SHAPE_FEATURES):
        raise ShapeError(f"features: expected some of {', '.join(SHAPE_FEATURES)}, got {', '.join(features) or 'none'}")
    corner = generator.uniform(0, voxel_size, 3).astype(np.float32)
    moved = (alter_points(shape.points, augmentation, generator) + corner).astype(np.float32)
    labels = None if shape.labels is None else torch.from_numpy(shape.labels.astype(np.int64))
    voxels = grid_subsample(torch.from_numpy(moved), torch.tensor([len(moved)]), voxel_size, None, labels)
    points = voxels.points - torch.from_numpy(corner)
    columns = {"one": torch.ones(len(points)), "x": points[:, 0], "y": points[:, 1], "z": points[:, 2]}
    return ShapeVoxels(
        points,
        torch.stack([columns[name] for name in features], 1),
        shape.category,
        torch.empty(0, dtype=torch.int64) if voxels.labels is None else voxels.labels - 1,
        voxels.voxel_of_point,
    )


def pack_shapes(shapes: Sequence[ShapeVoxels]) -> ShapeBatch:
    """Pack one object or more."""
    return ShapeBatch(
        torch.cat([shape.points for shape in shapes]),
        torch.tensor([len(shape.points) for shape in shapes]),
        torch.cat([shape.features for shape in shapes]),
        torch.tensor([shape.category for shape in shapes]),
        torch.cat([shape.labels for shape in shapes]),
    )


def alter_points(
    points: NDArray[np.float32], augmentation: ShapeAugmentationConfig, generator: Generator
) -> NDArray[np.float64]:
    """Scale each axis, flip some and move every point a little; ``(P, 3)``."""
    scale = generator.uniform(1 - augmentation.scale, 1 + augmentation.scale, 3)
    flips = np.where(generator.random(3) < np.array(augmentation.flip), -1.0, 1.0)
    moved: NDArray[np.float64] = points * (scale * flips) + generator.normal(0, augmentation.jitter, points.shape)
    return moved
