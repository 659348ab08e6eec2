# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole datasets of single objects in memory, each object in the unit sphere: ModelNet40 and ShapeNetPart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from kpconv_ros.data.labelled_cloud import DatasetError, LabelledCloud
from kpconv_ros.data.shape_datasets import (
    MODELNET_CLASSES,
    SHAPENET_PARTS,
    read_modelnet_mesh,
    read_shapenet_object,
    shapenet_names,
)
from kpconv_ros.data.shapes import Shape, make_shape

ShapeData = Literal["modelnet40", "shapenetpart"]
SPLITS = ("train", "val", "test")
LICENCES = {
    "modelnet40": "academic research only (trained on ModelNet40)",
    "shapenetpart": "non-commercial research only (trained on ShapeNetPart)",
}


class ShapeSet(NamedTuple):
    """Objects of a dataset."""

    classes: tuple[str, ...]
    """Object classes."""
    num_parts: tuple[int, ...]
    """Parts of each object class, numbered through from 1; empty if the objects have none."""
    names: list[str]
    """Of the objects."""
    shapes: list[Shape]
    """One for each name."""


def load_shape_set(data: ShapeData, root: Path, splits: Sequence[str], num_points: int, seed: int = 0) -> ShapeSet:
    """Read all objects of some splits, with a progress bar.

    Args:
        data: Name of the dataset.
        root: Its folder, as published.
        splits: "train", "val", "test"; ModelNet40 has no "val".
        num_points: Points drawn from a mesh.
        seed: Of these.

    Raises:
        DatasetError: If a file is missing or damaged, or there is no object.
    """
    unknown = [split for split in splits if split not in SPLITS]
    if unknown or not splits:
        raise DatasetError(f"splits: expected some of {', '.join(SPLITS)}, got {', '.join(splits) or 'none'}")
    find = modelnet_names if data == "modelnet40" else shapenet_names
    names = [name for split in splits for name in find(root, split)]
    if not names:
        raise DatasetError(f"{root}: got no object of the splits {', '.join(splits)} of {data}")
    shapes = []
    for index, name in enumerate(tqdm(names, desc=f"reading {data}", unit="object")):
        if data == "modelnet40":
            cloud = read_modelnet_mesh(root, name, num_points, np.random.default_rng([seed, index]))
        else:
            cloud = read_shapenet_object(root, name)
        shapes.append(_shape_of(cloud, name))
    if data == "modelnet40":
        return ShapeSet(MODELNET_CLASSES, (), names, shapes)
    return ShapeSet(tuple(SHAPENET_PARTS), tuple(count for _, count in SHAPENET_PARTS.values()), names, shapes)


def modelnet_names(root: Path, split: str) -> list[str]:
    """Return the names ``CLASS/SPLIT/CLASS_0001`` of the meshes of a split."""
    return [str(path.relative_to(root).with_suffix("")) for path in sorted(root.glob(f"*/{split}/*.off"))]


def _shape_of(cloud: LabelledCloud, name: str) -> Shape:
    if not len(cloud.points):
        raise DatasetError(f"{name}: expected points, got none")
    assert cloud.category is not None
    return make_shape(cloud.points, cloud.category, cloud.labels)
