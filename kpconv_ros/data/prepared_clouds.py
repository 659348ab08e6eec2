# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of a dataset laid on a fine grid and kept on disk, so that a training starts at once and shares memory.

Each has a file of its own, see :mod:`kpconv_ros.data.prepared_files`.
"""

import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.data.datasets import Dataset, find_dataset
from kpconv_ros.data.labelled_cloud import DatasetError, LabelledCloud
from kpconv_ros.data.prepared_files import digest_of, load_or_prepare, load_prepared, write_prepared
from kpconv_ros.geometry.voxel_grid import GridError, grid_subsample

FORMAT = 2  # raised with every change of what a file holds, readers included
ROW = np.dtype([("points", "<f4", 3), ("intensity", "<f4"), ("colors", "u1", 3), ("label", "u1")])
HEIGHT = struct.Struct("<d")  # of the ground, beside the array
GROUND_PERCENTILE = 5.0
MOST_HEIGHTS = 1_000_000  # looked at to find the ground


class PreparedCloud(NamedTuple):
    """A cloud on a fine grid: a barycentre for each cell."""

    points: NDArray[np.float32]
    """``(V, 3)``, metres, relative to the origin that the reader took off."""
    labels: NDArray[np.uint8]
    """Most frequent label of each cell, ``(V,)``, 0 is unlabelled."""
    intensity: NDArray[np.float32]
    """Mean of each cell, ``(V,)`` 0..1; 0 in a dataset without."""
    colors: NDArray[np.uint8] | None
    """Mean red, green, blue of each cell, ``(V, 3)``; None in a dataset without."""
    ground_z: float
    """Height of the ground: the 5th percentile of the heights of the points, metres."""


class _Task(NamedTuple):
    """What a process is told: to prepare one cloud."""

    dataset: str
    root: Path
    name: str
    cell: float
    target: Path


def prepare_clouds(
    dataset: Dataset, root: Path, names: Sequence[str], cell: float, folder: Path, num_processes: int = 0
) -> list[PreparedCloud]:
    """Load clouds, and prepare those first that are not in ``folder`` yet.

    Args:
        dataset: An entry of the table.
        root: Its folder.
        names: Of the clouds.
        cell: Of the grid, metres.
        folder: Where prepared clouds are kept; made if absent.
        num_processes: Processes that prepare; 0 is one for each core.

    Raises:
        DatasetError: If a cloud cannot be read, has no points or no labels, or lacks what the table promises.
    """
    tasks = [
        _Task(dataset.name, root, name, cell, folder / dataset.name / _file_name(dataset, root, name, cell))
        for name in names
    ]
    load = partial(_load, has_colors="color" in dataset.attributes)
    return load_or_prepare(tasks, load, _prepare, num_processes, "cloud")


def ground_height(points: NDArray[np.floating]) -> float:
    """Return the height of the ground of a cloud ``(N, 3)``, the 5th percentile of heights, metres."""
    return float(np.percentile(points[:: -(-len(points) // MOST_HEIGHTS), 2], GROUND_PERCENTILE))


def _file_name(dataset: Dataset, root: Path, name: str, cell: float) -> str:
    parameters = [FORMAT, dataset.name, dataset.classes, str(root.resolve()), name, cell]
    return f"{name.replace('/', '_')}-{digest_of(parameters, dataset.files(root, name))}.npy"


def _prepare(task: _Task) -> None:
    """Read a cloud, lay it on the grid and write it."""
    dataset, where = find_dataset(task.dataset), f"{task.root}, {task.name}"
    cloud = dataset.read(task.root, task.name)
    _check(cloud, dataset, where)
    try:
        table = _lay_on_grid(cloud, task.cell)
    except GridError as error:
        raise DatasetError(f"{where}: {error}") from error
    write_prepared(table, HEIGHT.pack(ground_height(cloud.points)), task.target)


def _check(cloud: LabelledCloud, dataset: Dataset, where: str) -> None:
    if not len(cloud.points):
        raise DatasetError(f"{where}: got no points, expected some")
    if cloud.labels is None:
        raise DatasetError(f"{where}: expected labels to train on, got none; is this the hidden test set?")
    for kind, values in (("color", cloud.colors), ("intensity", cloud.intensity)):
        if kind in dataset.attributes and values is None:
            raise DatasetError(f"{where}: expected points with {kind} as {dataset.name} has, got none")


def _lay_on_grid(cloud: LabelledCloud, cell: float) -> NDArray[np.void]:
    columns = [np.zeros(len(cloud.points), np.float32) if cloud.intensity is None else cloud.intensity]
    columns += [] if cloud.colors is None else list(cloud.colors.T)
    carried = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
    points, lengths = torch.from_numpy(np.ascontiguousarray(cloud.points)), torch.tensor([len(cloud.points)])
    voxels = grid_subsample(points, lengths, cell, carried, torch.from_numpy(cloud.labels))
    assert voxels.features is not None and voxels.labels is not None
    table = np.zeros(len(voxels.points), ROW)
    table["points"], table["label"] = voxels.points.numpy(), voxels.labels.numpy()
    table["intensity"] = voxels.features[:, 0].numpy()
    if cloud.colors is not None:
        table["colors"] = (voxels.features[:, 1:] * 255).round().clamp(0, 255).numpy()
    return table


def _load(path: Path, has_colors: bool) -> PreparedCloud | None:
    """Map a file into memory; None if there is none or it is not whole."""
    loaded = load_prepared(path, ROW)
    if loaded is None:
        return None
    table, beside = loaded
    colors = table["colors"] if has_colors else None
    return PreparedCloud(table["points"], table["label"], table["intensity"], colors, *HEIGHT.unpack(beside))
