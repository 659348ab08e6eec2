# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole datasets of single objects in memory, each object in the unit sphere: ModelNet40 and ShapeNetPart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tqdm import tqdm

from kpconv_ros.data.datasets import find_dataset
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.prepared_shapes import prepare_shapes, read_shape
from kpconv_ros.data.shape_datasets import SHAPENET_PARTS
from kpconv_ros.data.shapes import Shape

ShapeData = Literal["modelnet40", "shapenetpart"]
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
    labels: tuple[str, ...]
    """What is predicted, by label: "unlabeled", then the parts; the object classes if there are none."""
    shapes: list[Shape]
    """The objects."""


def load_shape_set(
    data: ShapeData, root: Path, splits: Sequence[str], folder: Path | None = None, num_processes: int = 0
) -> ShapeSet:
    """Read all objects of some splits, with a progress bar.

    Args:
        data: Name of the dataset.
        root: Its folder, as published.
        splits: "train", "val", "test".
        folder: Where prepared objects are kept; None reads the published files and keeps nothing.
        num_processes: Processes that prepare; 0 is one for each core.

    Raises:
        DatasetError: If a file is missing or damaged, or there is no object.
    """
    dataset, names = find_dataset(data), shape_names(data, root, splits)
    if folder is None:
        shapes = [read_shape(dataset, root, name) for name in tqdm(names, desc=f"reading {data}", unit="object")]
    else:
        shapes = prepare_shapes(dataset, root, names, folder, num_processes)
    if dataset.task == "classification":
        return ShapeSet(dataset.classes[1:], (), dataset.classes, shapes)
    num_parts = tuple(count for _, count in SHAPENET_PARTS.values())
    return ShapeSet(tuple(SHAPENET_PARTS), num_parts, dataset.classes, shapes)


def shape_names(data: ShapeData, root: Path, splits: Sequence[str]) -> list[str]:
    """Return the names of the objects of some splits.

    Raises:
        DatasetError: If there are none, or no splits.
    """
    if not splits:
        raise DatasetError("splits: expected one or more, got none")
    return [name for split in splits for name in find_dataset(data).names(root, split)]
