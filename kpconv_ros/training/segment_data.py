# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the spheres of a training of a segmentation network come from."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kpconv_ros.config_io import ConfigError
from kpconv_ros.data.clips import (
    KITTI_LIDAR,
    Clip,
    ClipError,
    cloud_clip,
    kitti_clips,
    kitti_label_of_simulated,
    simulated_clips,
)
from kpconv_ros.data.datasets import DATASETS, find_dataset
from kpconv_ros.data.prepared_clouds import prepare_clouds
from kpconv_ros.data.prepared_files import default_folder
from kpconv_ros.data.simulator import SimulatorConfig
from kpconv_ros.training.propagation import weaken_labels
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_sources import SOURCES
from kpconv_ros.training.spheres import AugmentationConfig, SphereCutter

CLASSES = {name: (source.classes, source.colors) for name, source in SOURCES.items()}
PREPARED_CELL = 0.5
"""Cell of prepared clouds in cells of the network: spheres are laid on the grid anew after they were turned."""
PASTED = {"bicycle", "motorcycle", "truck", "other-vehicle", "person", "bicyclist", "motorcyclist"}
GROUND = {"road", "parking", "sidewalk", "other-ground", "terrain", "ground"}


UNALTERED = AugmentationConfig(
    turning=False, scale=0.0, jitter=0.0, height=0.0, intensity=0.0, intensity_drop=0.0, thinning=0.0
)
"""Spheres as they are, their centres drawn evenly by class."""


def load_clips(config: SegmentTrainingConfig) -> list[Clip]:
    """Read or simulate the scans that ``config`` names, with a progress bar, and keep its share of labels."""
    clips = _load_all_labels(config)
    if config.weak_labels == 1.0:
        return clips
    generator = np.random.default_rng(config.seed)
    return [
        clip._replace(labels=tuple(weaken_labels(labels, config.weak_labels, generator) for labels in clip.labels))
        for clip in clips
    ]


def _load_all_labels(config: SegmentTrainingConfig) -> list[Clip]:
    if config.data == "simulator":
        lidar = SimulatorConfig(sensor_height=config.sensor_height)
        clips = simulated_clips(config.num_clips, config.num_scans, config.first_seed, lidar)
        return list(tqdm(clips, desc="simulating", total=config.num_clips, unit="clip"))
    if not config.root:
        raise ClipError(f"root: got none, expected the folder of {config.data}; name it with --root")
    if config.data in DATASETS:
        return _load_scenes(config, _cloud_names(config))
    read = kitti_clips(Path(config.root), config.sequences, config.sensor_height)
    labels = kitti_label_of_simulated()
    added = simulated_clips(config.added_clips, config.num_scans, config.first_seed, KITTI_LIDAR, labels)
    total = len(config.sequences) + config.added_clips
    return list(tqdm(chain(read, added), desc="reading", total=total, unit="clip"))


def load_held_out(config: SegmentTrainingConfig) -> list[Clip]:
    """Read or simulate the scans that are held out to validate on, with all labels; none if ``config`` names none.

    Raises:
        ConfigError: If some of them are trained on.
    """
    if config.data == "simulator":
        trained = set(range(config.first_seed, config.first_seed + config.num_clips))
        shared = sorted(trained.intersection(config.validation_seeds))
        _check_apart("validation_seeds", shared)
        lidar = SimulatorConfig(sensor_height=config.sensor_height)
        streets = (simulated_clips(1, config.num_scans, seed, lidar) for seed in config.validation_seeds)
        return list(chain.from_iterable(streets))
    trained_on = _cloud_names(config) if config.data in DATASETS else config.sequences
    _check_apart("validation_sequences", sorted(set(trained_on).intersection(config.validation_sequences)))
    if config.data in DATASETS:
        return _load_scenes(config, config.validation_sequences) if config.validation_sequences else []
    return list(kitti_clips(Path(config.root), config.validation_sequences, config.sensor_height))


def _check_apart(field: str, shared: Sequence[object]) -> None:
    if shared:
        raise ConfigError(f"{field}: expected what is not trained on, got {', '.join(map(str, shared))}")


def _cloud_names(config: SegmentTrainingConfig) -> Sequence[str]:
    """Return the clouds of a scene dataset to train on.

    Raises:
        ClipError: If there are none.
    """
    dataset = find_dataset(config.data, config.test_area)
    listed = config.sequences or [name for split in config.splits for name in dataset.names(Path(config.root), split)]
    if not listed:
        raise ClipError("splits: got none, expected train, val or both")
    return list(dict.fromkeys(listed))


def _load_scenes(config: SegmentTrainingConfig, names: Sequence[str]) -> list[Clip]:
    dataset, root = find_dataset(config.data, config.test_area), Path(config.root)
    folder = Path(config.cache) if config.cache else default_folder()
    cell = config.voxel_size * PREPARED_CELL
    clips = [
        cloud_clip(cloud) for cloud in prepare_clouds(dataset, root, names, cell, folder, config.prepare_processes)
    ]
    if not any(clip.labels[0].any() for clip in clips):
        raise ClipError(f"{root}: got {len(clips)} clouds of {dataset.name} without a labelled point, expected some")
    return clips


def make_cutter(
    config: SegmentTrainingConfig, clips: list[Clip], augmentation: AugmentationConfig | None = None
) -> SphereCutter:
    """Return the source of training spheres, altered as ``config`` says unless told otherwise."""
    names = CLASSES[config.data][0]
    return SphereCutter(
        clips,
        len(names) - 1,
        config.voxel_size,
        config.sphere_radius,
        config.features,
        config.max_sphere_points,
        config.augmentation if augmentation is None else augmentation,
        tuple(label for label, name in enumerate(names) if name in PASTED),
        tuple(label for label, name in enumerate(names) if name in GROUND),
    )
