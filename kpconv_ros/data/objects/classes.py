# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The classes of generated objects, and their splits."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.objects.furniture import make_chair, make_lamp, make_sofa, make_stool, make_table
from kpconv_ros.data.objects.primitives import Triangles
from kpconv_ros.data.objects.vehicles import make_airplane, make_car
from kpconv_ros.data.objects.vessels import make_bottle, make_cup, make_vase

MAKERS: dict[str, Callable[[Generator], Triangles]] = {
    "airplane": make_airplane,
    "bottle": make_bottle,
    "car": make_car,
    "chair": make_chair,
    "cup": make_cup,
    "lamp": make_lamp,
    "sofa": make_sofa,
    "stool": make_stool,
    "table": make_table,
    "vase": make_vase,
}
SPLITS = ("train", "test")


def generate_objects(name: str, split: str, count: int) -> list[Triangles]:
    """Draw the first ``count`` objects of a class; no object is in two splits.

    Args:
        name: From :data:`MAKERS`.
        split: "train" or "test".
        count: Objects; a larger count adds objects and changes none.

    Raises:
        DatasetError: If class or split do not exist.
    """
    if name not in MAKERS or split not in SPLITS:
        known = f"a class of {', '.join(MAKERS)} and a split of {', '.join(SPLITS)}"
        raise DatasetError(f"expected {known}, got {name!r}, {split!r}")
    seeds: Sequence[int] = (list(MAKERS).index(name), SPLITS.index(split))
    return [MAKERS[name](np.random.default_rng([*seeds, index])) for index in range(count)]
