# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the segment node beside those of its poses and its pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.nodes.scan_node import ScanNodeConfig


@dataclass(frozen=True)
class SegmentConfig(ScanNodeConfig):
    """What the node loads, hears and publishes."""

    model: str = param("street_sim", "name of a model in models/, or path of a model folder")
    device: str = param("auto", "auto (CUDA if there is one), cpu, cuda or cuda:N")
    intensity_scale: float = param(
        0.0, "raw intensity that counts as 1; 0: what the model was trained with", 0.0, 65535.0
    )
    classes_kept: tuple[str, ...] = param((), "only these classes stay in ~/output/filtered; empty: all", live=True)
    classes_removed: tuple[str, ...] = param((), "these classes do not go to ~/output/filtered", live=True)
    map_classes_removed: tuple[str, ...] = param((), "voxels of these classes are not in ~/output/map", live=True)
    map_period: float = param(1.0, "time between two maps on ~/output/map [s]", 0.1, 3600.0, live=True)

    def __post_init__(self) -> None:
        """Check the values against each other."""
        super().__post_init__()
        both = sorted(set(self.classes_kept) & set(self.classes_removed))
        if both:
            raise ConfigError(f"classes_kept and classes_removed: got {both} in both, expected them in one")
