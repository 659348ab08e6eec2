# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HDF5 files of shapes, ``data (S, N, 3)`` float32 and ``label (S, 1)``, by h5py, which is imported when needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.labelled_cloud import DatasetError


def count_shapes(path: Path) -> int:
    """Return the number of shapes in a file.

    Raises:
        DatasetError: If it is missing, damaged or of another layout.
    """
    with _open(path) as (data, _):
        return len(data)


def read_shapes(path: Path, num_classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Read all shapes of a file.

    Returns:
        Points ``(S, N, 3)`` and classes ``(S,)``, from 0.

    Raises:
        DatasetError: If it is missing, damaged or of another layout, or a class is not below ``num_classes``.
    """
    with _open(path) as (data, label):
        points, ids = np.asarray(data[:], np.float32), np.asarray(label[:], np.int64).reshape(-1)
    _check_ids(ids, num_classes, path)
    return points, ids


def read_shape(path: Path, row: int, num_classes: int) -> tuple[NDArray[np.float32], int]:
    """Read one shape of a file: points ``(N, 3)`` and class, from 0.

    Raises:
        DatasetError: As :func:`read_shapes`, or if there is no such row.
    """
    with _open(path) as (data, label):
        if not 0 <= row < len(data):
            raise DatasetError(f"{path}: got row {row}, expected 0 to {len(data) - 1}")
        points, ids = np.asarray(data[row], np.float32), np.asarray(label[row], np.int64).reshape(-1)
    _check_ids(ids, num_classes, path)
    return points, int(ids[0])


def _check_ids(ids: NDArray[np.int64], num_classes: int, path: Path) -> None:
    wrong = np.unique(ids[(ids < 0) | (ids >= num_classes)])
    if len(wrong):
        raise DatasetError(f"{path}: got class ids {wrong[:5].tolist()}, expected 0 to {num_classes - 1}")


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, Any]]:
    """Give the datasets ``data`` and ``label`` of a file."""
    try:
        import h5py
    except ImportError as error:
        raise DatasetError(f"{path}: .h5 needs h5py: pip install h5py") from error
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            data, label = file["data"], file["label"]
            if data.ndim != 3 or data.shape[2] != 3 or label.size != len(data) or not data.shape[1]:
                raise DatasetError(f"{path}: got data {data.shape} and label {label.shape}, expected (S, N, 3), (S, 1)")
            yield data, label
    except (OSError, KeyError, AttributeError) as error:
        raise DatasetError(f"{path}: expected the datasets data and label: {error}") from error
