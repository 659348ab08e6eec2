# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models for single objects on disk: a KP-CNN that classifies them, or a KP-FCNN with several heads for their parts.

Folders as in :mod:`kpconv_ros.model_folder`, with a manifest of their own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kpconv_ros.checkpoint import NETWORKS
from kpconv_ros.config_io import ConfigError, param, read_yaml
from kpconv_ros.data.shape_sets import ShapeData
from kpconv_ros.data.shapes import SHAPE_FEATURES, ShapeAugmentationConfig
from kpconv_ros.model_folder import MANIFEST, CheckpointError, choose_device, find_model, load_parts, save_parts
from kpconv_ros.networks.kpcnn import KPCNN
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN


@dataclass(frozen=True)
class ShapeManifest:
    """What must be known to use the weights."""

    name: str
    """Name of the model."""
    data: ShapeData
    """Dataset that it was trained on."""
    weights: str
    """File of the weights, beside the manifest."""
    sha256: str
    """SHA-256 of that file, hexadecimal."""
    classes: tuple[str, ...]
    """Object classes."""
    voxel_size: float
    """Cell of the grid, in radii of the object."""
    features: tuple[str, ...]
    """Input features in order, from :data:`kpconv_ros.data.shapes.SHAPE_FEATURES`."""
    augmentation: ShapeAugmentationConfig = param(ShapeAugmentationConfig, "how objects were altered in training")
    """How objects were altered in training; the votes of a test see them altered likewise."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ConfigError: Naming the one that is wrong.
        """
        if not self.classes or not 0 < self.voxel_size < math.inf:
            raise ConfigError(f"expected classes and a positive voxel_size, got {self.classes}, {self.voxel_size}")
        if not set(self.features) <= set(SHAPE_FEATURES) or not self.features:
            raise ConfigError(f"features: expected some of {', '.join(SHAPE_FEATURES)}, got {list(self.features)}")


@dataclass(frozen=True)
class ShapeModel:
    """A network ready for inference, with what must be known to use it."""

    manifest: ShapeManifest
    network: KPCNN | PartKPFCNN


def load_shape_model(name_or_path: str | Path, device: str | torch.device = "cpu") -> ShapeModel:
    """Load a model for single objects.

    Args:
        name_or_path: Name of a model, or a folder.
        device: Where to put the network; "auto" takes CUDA where there is a device.

    Raises:
        CheckpointError: If a file is missing or altered, or manifest and weights do not fit each other.
    """
    manifest, network = load_parts(name_or_path, ShapeManifest, NETWORKS, "a model for single objects")
    path = find_model(name_or_path) / MANIFEST
    if isinstance(network, KPFCNN):
        raise CheckpointError(f"{path}: expected a KP-CNN or a KP-FCNN with several heads, got a KP-FCNN")
    config = network.config
    fitting = (len(manifest.classes), len(manifest.features), manifest.voxel_size)
    got = (num_object_classes(network), config.in_features, config.voxel_size)
    if got != fitting:
        raise CheckpointError(
            f"{path}: the manifest has (classes, features, voxel_size) {fitting}, the weights expect {got}"
        )
    return ShapeModel(manifest, network.to(choose_device(device)))


def is_shape_model(name_or_path: str | Path) -> bool:
    """Return whether a model is one for single objects, which its manifest tells; it may be wrong otherwise.

    Raises:
        CheckpointError: If there is no such model.
    """
    path = find_model(name_or_path) / MANIFEST
    try:
        fields = read_yaml(path)
    except (OSError, ValueError):
        return False
    return isinstance(fields, dict) and "data" in fields


def save_shape_model(folder: Path, network: KPCNN | PartKPFCNN, manifest: Mapping[str, Any]) -> ShapeManifest:
    """Write weights and manifest of a model.

    Args:
        folder: Made if absent.
        network: With any weights.
        manifest: Fields of :class:`ShapeManifest` except ``weights``, ``sha256`` and ``voxel_size``, which are filled
            in.

    Returns:
        The manifest as written.
    """
    return save_parts(folder, network, NETWORKS, ShapeManifest, {**manifest, "voxel_size": network.config.voxel_size})


def num_object_classes(network: KPCNN | PartKPFCNN) -> int:
    """Return the number of object classes that a network knows."""
    return network.config.num_classes if isinstance(network, KPCNN) else len(network.config.num_parts)
