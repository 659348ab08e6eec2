# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of single objects that clouds can be drawn from, again and again, each in the unit cube around the origin.

A surface is either a mesh, triangles ``(T, 3, 3)``, or a dense cloud ``(P, 3)``, as published datasets have it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.objects.classes import MAKERS, generate_objects
from kpconv_ros.data.shape_datasets import sample_triangles
from kpconv_ros.data.shape_sets import LICENCES, load_shape_set

ObjectData = Literal["generated", "modelnet40", "shapenetpart"]
OBJECT_LICENCES = {"generated": "Apache-2.0", **LICENCES}
Surface = NDArray[np.float64]


class ObjectSet(NamedTuple):
    """Objects of some classes."""

    classes: tuple[str, ...]
    """Object classes."""
    categories: NDArray[np.int64]
    """Class of each object, ``(S,)``."""
    surfaces: list[Surface]
    """Triangles or a dense cloud of each, in the unit cube."""


def load_object_set(data: ObjectData, root: Path, split: str, classes: Sequence[str], count: int) -> ObjectSet:
    """Generate or read the objects of a split.

    Args:
        data: "generated", or the name of a dataset.
        root: Folder of the dataset.
        split: "train" or "test".
        classes: Those to keep, in this order; none keeps all.
        count: Generated objects of each class.

    Raises:
        DatasetError: If a file, class or split is missing, or nothing is left.
    """
    if data == "generated":
        names = tuple(classes) or tuple(MAKERS)
        of_class = [generate_objects(name, split, count) for name in names]
    else:
        shapes = load_shape_set(data, root, [split])
        names = tuple(classes) or shapes.classes
        if not set(names) <= set(shapes.classes):
            raise DatasetError(f"classes: expected some of {', '.join(shapes.classes)}, got {', '.join(names)}")
        wanted = [shapes.classes.index(name) for name in names]
        of_class = [[s.points.astype(np.float64) for s in shapes.shapes if s.category == i] for i in wanted]
    surfaces = [fit_unit_cube(surface) for group in of_class for surface in group]
    if not surfaces:
        raise DatasetError(f"{data}, split {split}: expected objects of {', '.join(names)}, got none")
    return ObjectSet(names, np.repeat(np.arange(len(names)), [len(group) for group in of_class]), surfaces)


def fit_unit_cube(surface: Surface) -> Surface:
    """Scale a surface until the longest side of the box around it is 1, and move its mean to the origin.

    The mean of a mesh is that of its area, so that all clouds drawn from it share one frame.
    """
    corners = surface.reshape(-1, 3)
    size = float((corners.max(0) - corners.min(0)).max())
    if surface.ndim == 2:
        mean = corners.mean(0)
    else:
        edges = surface[:, 1:] - surface[:, :1]
        areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        mean = areas @ surface.mean(1) / areas.sum()
    fitted: Surface = (surface - mean) / (size or 1.0)
    return fitted


def draw_cloud(surface: Surface, num_points: int, generator: Generator) -> NDArray[np.float32]:
    """Draw a cloud ``(num_points, 3)``: evenly over the triangles, or a random part of a dense cloud.

    Raises:
        DatasetError: If a dense cloud has fewer points than that.
    """
    if surface.ndim == 3:
        return sample_triangles(surface, num_points, generator)
    if len(surface) < num_points:
        raise DatasetError(f"expected an object of at least {num_points} points, got {len(surface)}")
    return surface[generator.permutation(len(surface))[:num_points]].astype(np.float32)
