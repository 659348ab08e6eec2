# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the segment node beside those of its poses and its pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from kpconv_ros.config_io import ConfigError, param

RELIABILITIES = ("auto", "reliable", "best_effort")


@dataclass(frozen=True)
class SegmentConfig:
    """What the node loads, hears and publishes."""

    autostart: bool = param(True, "configure and activate at start; false leaves that to a lifecycle manager")
    model: str = param("street_sim", "name of a model in models/, or path of a model folder")
    device: str = param("auto", "auto (CUDA if there is one), cpu, cuda or cuda:N")
    input_reliability: str = param("auto", "auto (as the publishers), reliable or best_effort")
    intensity_scale: float = param(
        0.0, "raw intensity that counts as 1; 0: what the model was trained with", 0.0, 65535.0
    )
    max_points: int = param(4_000_000, "clouds of more points are refused", 1, 100_000_000)
    enabled: bool = param(True, "whether scans are segmented (see the service set_enabled)", live=True)
    classes_kept: tuple[str, ...] = param((), "only these classes stay in ~/output/filtered; empty: all", live=True)
    classes_removed: tuple[str, ...] = param((), "these classes do not go to ~/output/filtered", live=True)
    map_period: float = param(1.0, "time between two maps on ~/output/map [s]", 0.1, 3600.0, live=True)
    processing_limit: float = param(0.1, "processing time above which the diagnostics warn [s]", 0.001, 10.0, live=True)

    def __post_init__(self) -> None:
        """Check the values against each other."""
        if self.input_reliability not in RELIABILITIES:
            raise ConfigError(
                f"input_reliability: got '{self.input_reliability}', expected one of {', '.join(RELIABILITIES)}"
            )
        both = sorted(set(self.classes_kept) & set(self.classes_removed))
        if both:
            raise ConfigError(f"classes_kept and classes_removed: got {both} in both, expected them in one")
