# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of a dataset laid on a fine grid and kept on disk, so that a training starts at once and shares memory.

A file is named by a digest of all that it depends on: the parameters, and path, size and time of change of the cloud's
own files. (Their contents are hundreds of gigabytes of text in some datasets; reading them would take as long as
preparing them anew.) It holds a ``.npy`` array, mapped into memory, then the height of the ground and a checksum: a
file that is cut off or altered is made again. Files are written under another name and then renamed.
"""

import contextlib
import hashlib
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from kpconv_ros.data.datasets import Dataset, find_dataset
from kpconv_ros.data.labelled_cloud import DatasetError, LabelledCloud
from kpconv_ros.geometry.voxel_grid import GridError, grid_subsample

FORMAT = 1  # raised with every change of what a file holds, readers included
ROW = np.dtype([("points", "<f4", 3), ("intensity", "<f4"), ("colors", "u1", 3), ("label", "u1")])
FOOTER = struct.Struct("<dI")  # height of the ground, CRC-32 of the array and that height
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


def default_folder() -> Path:
    """Return where prepared clouds are kept: ``$XDG_CACHE_HOME/kpconv_ros``, or ``~/.cache/kpconv_ros``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kpconv_ros"


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
    targets = [folder / dataset.name / _file_name(dataset, root, name, cell) for name in names]
    clouds = [_load(target, "color" in dataset.attributes) for target in targets]
    missing = [i for i, cloud in enumerate(clouds) if cloud is None]
    tasks = [_Task(dataset.name, root, names[i], cell, targets[i]) for i in missing]
    _prepare_all(tasks, min(num_processes or len(os.sched_getaffinity(0)), len(tasks)))
    for i in missing:
        clouds[i] = _load(targets[i], "color" in dataset.attributes)
    lost = [str(target) for target, cloud in zip(targets, clouds, strict=True) if cloud is None]
    if lost:
        raise DatasetError(f"{lost[0]}: was written, but cannot be read back; is the disk full or damaged?")
    return [cloud for cloud in clouds if cloud is not None]


def ground_height(points: NDArray[np.floating]) -> float:
    """Return the height of the ground of a cloud ``(N, 3)``, the 5th percentile of heights, metres."""
    return float(np.percentile(points[:: -(-len(points) // MOST_HEIGHTS), 2], GROUND_PERCENTILE))


def _file_name(dataset: Dataset, root: Path, name: str, cell: float) -> str:
    files = [path for pattern in dataset.sources for path in sorted(root.glob(pattern.format(name=name)))]
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    known = json.dumps([FORMAT, dataset.name, dataset.classes, str(root.resolve()), name, cell, stats])
    return f"{name.replace('/', '_')}-{hashlib.sha256(known.encode()).hexdigest()[:24]}.npy"


def _prepare_all(tasks: list[_Task], num_processes: int) -> None:
    bar = tqdm(total=len(tasks), desc="preparing", unit="cloud", disable=not tasks)
    with bar:
        if num_processes <= 1:
            for task in tasks:
                _prepare(task)
                bar.update()
            return
        # Not forked from here: torch's threads would be lost. The server imports torch once for all.
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        pool = ProcessPoolExecutor(num_processes, context, torch.set_num_threads, (1,))
        try:
            for future in as_completed([pool.submit(_prepare, task) for task in tasks]):
                future.result()
                bar.update()
        except BrokenProcessPool as error:
            raise DatasetError(
                f"a process that prepared clouds was killed ({error}): is there too little memory?"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare(task: _Task) -> None:
    """Read a cloud, lay it on the grid and write it."""
    dataset, where = find_dataset(task.dataset), f"{task.root}, {task.name}"
    cloud = dataset.read(task.root, task.name)
    _check(cloud, dataset, where)
    try:
        table = _lay_on_grid(cloud, task.cell)
    except GridError as error:
        raise DatasetError(f"{where}: {error}") from error
    _write(table, ground_height(cloud.points), task.target)


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


def _write(table: NDArray[np.void], ground_z: float, target: Path) -> None:
    """Write a file at once or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, table)
            file.write(FOOTER.pack(ground_z, _checksum(table, ground_z)))
        Path(temporary).chmod(0o644)  # mkstemp lets only the owner read
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _load(path: Path, has_colors: bool) -> PreparedCloud | None:
    """Map a file into memory; None if there is none or it is not whole."""
    try:
        table: NDArray[Any] = np.asarray(np.lib.format.open_memmap(path, mode="r"))
        with path.open("rb") as file:
            file.seek(-FOOTER.size, os.SEEK_END)
            ground_z, checksum = FOOTER.unpack(file.read())
    except (OSError, ValueError, EOFError, SyntaxError):  # all that damaged headers lead to
        return None
    if table.dtype != ROW or table.ndim != 1 or _checksum(table, ground_z) != checksum:
        return None
    colors = table["colors"] if has_colors else None
    return PreparedCloud(table["points"], table["label"], table["intensity"], colors, ground_z)


def _checksum(table: NDArray[np.void], ground_z: float) -> int:
    return zlib.crc32(struct.pack("<d", ground_z), zlib.crc32(table.view(np.uint8).data))
