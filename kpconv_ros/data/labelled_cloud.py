# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A labelled cloud of a public dataset, and the error of everything that reads one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class DatasetError(ValueError):
    """A dataset is not where it should be, or a file of it is not as published."""


class LabelledCloud(NamedTuple):
    """Points with truth."""

    points: NDArray[np.float32]
    """Positions relative to ``origin``, ``(N, 3)``, metres."""
    labels: NDArray[np.int64] | None
    """Class of each point, ``(N,)``: 0 is unlabelled, i the class ``spec.classes[i]``; None in a hidden test set."""
    colors: NDArray[np.float32] | None = None
    """Red, green, blue, ``(N, 3)``, 0..1."""
    intensity: NDArray[np.float32] | None = None
    """Strength of the return, ``(N,)``, 0..1."""
    category: int | None = None
    """Class of the whole cloud, from 0, where the dataset has one."""
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What was taken off the positions, metres."""


def map_class_ids(ids: NDArray[np.integer], label_of_id: dict[int, int], where: str) -> NDArray[np.int64]:
    """Return the label of each raw id ``(N,)``.

    Raises:
        DatasetError: Naming ids outside the map.
    """
    raw, inverse = np.unique(ids, return_inverse=True)
    unknown = [int(i) for i in raw if int(i) not in label_of_id]
    if unknown:
        raise DatasetError(f"{where}: got class ids {unknown[:5]}, expected some of {sorted(label_of_id)}")
    return np.array([label_of_id[int(i)] for i in raw], np.int64)[inverse]


def centered(positions: NDArray[np.floating]) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    """Return float32 positions around a whole-metre origin, and the origin: UTM coordinates do not fit float32."""
    if not len(positions) or np.abs(positions).max() < 1e4:
        return np.ascontiguousarray(positions, np.float32), (0.0, 0.0, 0.0)
    origin = np.floor(positions.mean(axis=0, dtype=np.float64))
    return np.ascontiguousarray(positions - origin, np.float32), (float(origin[0]), float(origin[1]), float(origin[2]))
