# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Single objects read and scaled once and kept on disk: thousands of text files are a few that are mapped into memory.

A file holds :data:`CHUNK` objects, see :mod:`kpconv_ros.data.prepared_files`.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.datasets import Dataset, find_dataset
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.prepared_files import digest_of, load_or_prepare, load_prepared, write_prepared
from kpconv_ros.data.shape_datasets import MESH_POINTS
from kpconv_ros.data.shapes import Shape, ShapeError, make_shape

FORMAT = 1  # raised with every change of what a file holds, readers included
CHUNK = 256
ROW = np.dtype([("points", "<f4", 3), ("label", "u1")])


class _Task(NamedTuple):
    """What a process is told: to prepare some objects."""

    dataset: str
    root: Path
    names: tuple[str, ...]
    target: Path


def prepare_shapes(
    dataset: Dataset, root: Path, names: Sequence[str], folder: Path, num_processes: int = 0
) -> list[Shape]:
    """Load objects, and prepare those first that are not in ``folder`` yet.

    Args:
        dataset: An entry of the table, of single objects.
        root: Its folder.
        names: Of the objects.
        folder: Where prepared objects are kept; made if absent.
        num_processes: Processes that prepare; 0 is one for each core.

    Raises:
        DatasetError: If an object cannot be read, or has no points or one that is not finite.
    """
    chunks = [tuple(names[first : first + CHUNK]) for first in range(0, len(names), CHUNK)]
    tasks = [
        _Task(dataset.name, root, chunk, folder / dataset.name / _file_name(dataset, root, chunk)) for chunk in chunks
    ]
    load = partial(_load, has_parts=dataset.task == "parts")
    loaded = load_or_prepare(tasks, load, _prepare, num_processes, "chunk")
    return [shape for shapes in loaded for shape in shapes]


def read_shape(dataset: Dataset, root: Path, name: str) -> Shape:
    """Read an object and scale it to the unit sphere.

    Raises:
        DatasetError: As :func:`prepare_shapes`.
    """
    cloud = dataset.read(root, name)
    assert cloud.category is not None
    try:
        return make_shape(cloud.points, cloud.category, cloud.labels)
    except ShapeError as error:
        raise DatasetError(f"{name}: {error}") from error


def _file_name(dataset: Dataset, root: Path, names: tuple[str, ...]) -> str:
    parameters = [FORMAT, dataset.name, dataset.classes, MESH_POINTS, str(root.resolve()), names]
    files = dict.fromkeys(path for name in names for path in dataset.files(root, name))
    return f"{len(names)}-objects-{digest_of(parameters, files)}.npy"


def _prepare(task: _Task) -> None:
    """Read objects and write them one after the other, and beside them how many points and which class each has."""
    dataset = find_dataset(task.dataset)
    shapes = [read_shape(dataset, task.root, name) for name in task.names]
    table = np.zeros(sum(len(shape.points) for shape in shapes), ROW)
    table["points"] = np.concatenate([shape.points for shape in shapes])
    if dataset.task == "parts":
        table["label"] = np.concatenate([_labels_of(shape) for shape in shapes])
    about = np.array([[len(shape.points), shape.category] for shape in shapes], "<i8")
    write_prepared(table, about.tobytes(), task.target)


def _labels_of(shape: Shape) -> NDArray[np.integer]:
    assert shape.labels is not None
    return shape.labels


def _load(path: Path, has_parts: bool) -> list[Shape] | None:
    """Map the objects of a file into memory; None if there is none or it is not whole."""
    loaded = load_prepared(path, ROW)
    if loaded is None:
        return None
    table, beside = loaded
    about = np.frombuffer(beside, "<i8").reshape(-1, 2)
    rows = np.split(table, np.cumsum(about[:-1, 0]))
    return [
        Shape(row["points"], int(category), row["label"] if has_parts else None)
        for row, category in zip(rows, about[:, 1], strict=True)
    ]
