# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training of a segmentation network can be told."""

from dataclasses import dataclass
from typing import Literal

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.mapping.features import FEATURE_NAMES
from kpconv_ros.training.loop_config import LoopConfig
from kpconv_ros.training.segment_sources import find_source
from kpconv_ros.training.spheres import AugmentationConfig


@dataclass(frozen=True)
class SegmentTrainingConfig(LoopConfig):
    """One training of a KP-FCNN."""

    name: str = param("street_sim", "name of the model")
    data: str = param("simulator", "where labels come from: simulator, semantickitti, or a scene dataset of the table")
    root: str = param("", "folder of the dataset; of SemanticKITTI the one that holds sequences/")
    sequences: tuple[str, ...] = param((), "sequences to train on; of a scene dataset clouds, in place of its splits")
    splits: tuple[str, ...] = param(("train",), "splits of a scene dataset to train on: train, val")
    validation_sequences: tuple[str, ...] = param((), "sequences, or clouds, that are held out to validate on")
    validation_seeds: tuple[int, ...] = param((), "seeds of simulated streets that are held out to validate on", 0)
    test_area: int = param(5, "area of S3DIS that is left out; each in turn for the 6-fold score", 1, 6)
    cache: str = param("", "folder of prepared clouds; empty is kpconv_ros in $XDG_CACHE_HOME or ~/.cache")
    prepare_processes: int = param(0, "processes that prepare clouds; 0 is one for each core", 0)
    num_clips: int = param(64, "simulated clips", 1, 100_000)
    num_scans: int = param(32, "scans of a simulated clip", 1, 10_000)
    first_seed: int = param(1000, "seed of the first simulated street; those below 100 are kept for evaluation", 100)
    added_clips: int = param(0, "simulated clips of KITTI's lidar beside the scans of SemanticKITTI", 0, 100_000)
    sensor_height: float = param(1.9, "height of the sensor above the ground, metres", -10.0, 100.0)
    voxel_size: float = param(0.0, "cell of the map, metres; 0 is that of the dataset", 0.0, 10.0)
    sphere_radius: float = param(0.0, "metres; 0 is that of the dataset", 0.0, 1000.0)
    features: tuple[str, ...] = param((), "input features; none are those of the dataset")
    width: int = param(32, "width of the network", 8, 1024)
    encoder: Literal["paper", "deep", "paper_deformable"] = param("paper", "blocks of the network")
    num_kernel_points: int = param(15, "kernel points of each convolution", 1, 255)
    max_sphere_points: int = param(12_000, "most voxels of a sphere", 16)
    batch_points: int = param(20_000, "voxels of a step: spheres are added until there are as many", 16)
    lovasz: float = param(1.0, "weight of Lovasz-Softmax", 0.0)
    ncm: float = param(0.0, "weight of neighbourhood co-occurrence learning", 0.0)
    weak_labels: float = param(1.0, "share of the labels of each class that are kept", 1e-6, 1.0)
    propagation: Literal["none", "cross", "intra"] = param("none", "dense supervision propagation: stage 1 or stage 2")
    gap: float = param(1.0, "weight of the regularisation between the branches, Eqs. (5) and (9) of DSP", 0.0)
    max_affinities: int = param(1 << 22, "most entries of an affinity matrix held at once", 1)
    start_from: str = param("", "weights to start from (.safetensors): those of stage 1")
    ncm_scene: bool = param(False, "its target is the whole training data, by reverse divergence, not each batch")
    unpredicted: tuple[str, ...] = param((), "classes that are learned, but that the exported network never predicts")
    class_power: float = param(0.25, "classes weigh frequency to minus this", 0.0, 1.0)
    augmentation: AugmentationConfig = param(AugmentationConfig, "how spheres are altered")

    def __post_init__(self) -> None:
        """Take from the dataset what is not set.

        Raises:
            ConfigError: If there is no such dataset, it lacks a class, or its points lack a feature.
        """
        source = find_source(self.data)
        for name in ("voxel_size", "sphere_radius", "features"):
            if not getattr(self, name):
                object.__setattr__(self, name, getattr(source, name))
        lacking = [name for name in self.features if name in FEATURE_NAMES and name not in source.available]
        if lacking:
            have = ", ".join(source.available)
            raise ConfigError(f"features: got {', '.join(lacking)}, but points of {self.data} have {have}")
        unknown = [name for name in self.unpredicted if name not in source.classes[1:]]
        if unknown:
            raise ConfigError(f"unpredicted: expected classes of {self.data}, got {', '.join(unknown)}")
