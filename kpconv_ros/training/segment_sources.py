# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a segmentation network can be trained on, and what each source of labels sets where a config does not."""

from typing import NamedTuple

from kpconv_ros.config_io import ConfigError
from kpconv_ros.data.class_colors import Colors
from kpconv_ros.data.datasets import DATASETS, Dataset
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES, KITTI_COLORS
from kpconv_ros.data.simulator import SIM_CLASSES, SIM_COLORS
from kpconv_ros.mapping.features import COLOR_NAMES

OF_LIDAR = ("one", "height", "intensity", "range")
OF_ATTRIBUTE = {"color": COLOR_NAMES, "intensity": ("intensity",), "range": ("range",)}


class Source(NamedTuple):
    """Where labelled points come from."""

    classes: tuple[str, ...]
    """The first is that of unlabelled points."""
    colors: Colors
    """Red, green, blue of each class."""
    voxel_size: float
    """Metres."""
    sphere_radius: float
    """Metres."""
    features: tuple[str, ...]
    """Input features by default."""
    available: tuple[str, ...]
    """Features that its points have."""
    licence: str
    """Of weights trained on it."""


def find_source(name: str) -> Source:
    """Return a source by name.

    Raises:
        ConfigError: Naming those that are there.
    """
    if name not in SOURCES:
        raise ConfigError(f"data: got {name!r}, expected one of {', '.join(SOURCES)}")
    return SOURCES[name]


def _source_of(dataset: Dataset) -> Source:
    available = ("one", "height", *(name for kind in dataset.attributes for name in OF_ATTRIBUTE[kind]))
    licence = dataset.licence or f"terms of the authors of {dataset.name}, on which it was trained"
    return Source(
        dataset.classes, dataset.colors, dataset.voxel_size, dataset.sphere_radius, dataset.features, available, licence
    )


_LIDAR = (0.2, 10.0, ("one", "height", "intensity"), OF_LIDAR)
SOURCES = {
    "simulator": Source(SIM_CLASSES, SIM_COLORS, *_LIDAR, "Apache-2.0"),
    "semantickitti": Source(
        KITTI_CLASSES, KITTI_COLORS, *_LIDAR, "CC BY-NC-SA 4.0 (non-commercial: trained on SemanticKITTI)"
    ),
    **{name: _source_of(dataset) for name, dataset in DATASETS.items() if dataset.task == "segmentation"},
}
