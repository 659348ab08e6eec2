# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models on disk: weights, the network's Config inside them, and a manifest beside them.

A model is a folder ``<name>/`` with ``manifest.yaml``, ``weights.safetensors``, ``README.md`` (the model card) and,
once measured, ``scores.json``. Loading is strict: nothing missing, nothing left over, nothing altered.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kpconv_ros.config_io import ConfigError
from kpconv_ros.layers.blocks import fold_batch_norms
from kpconv_ros.mapping.features import FEATURE_NAMES
from kpconv_ros.model_folder import (
    CheckpointError,
    choose_device,
    find_model,
    load_parts,
    read_manifest,
    read_weights,
    save_parts,
    write_manifest,
    write_weights,
)
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN, PartKPFCNNConfig

Network = KPFCNN | KPCNN | PartKPFCNN
NETWORKS: dict[str, tuple[Any, Any]] = {
    "kpfcnn_config": (KPFCNN, KPFCNNConfig),
    "kpcnn_config": (KPCNN, KPCNNConfig),
    "part_kpfcnn_config": (PartKPFCNN, PartKPFCNNConfig),
}
"""Under which key of the weights' metadata the Config of which network stands."""


@dataclass(frozen=True)
class Manifest:
    """What must be known to use the weights."""

    name: str
    """Name of the model."""
    weights: str
    """File of the weights, beside the manifest."""
    sha256: str
    """SHA-256 of that file, hexadecimal."""
    classes: tuple[str, ...]
    """Class names by label; the first is that of unlabelled points, which the network never predicts."""
    colors: tuple[tuple[int, int, int], ...]
    """Red, green, blue of each class, 0-255."""
    voxel_size: float
    """Cell of the map, metres."""
    sphere_radius: float
    """Radius of the spheres that the network was trained on, metres."""
    features: tuple[str, ...]
    """Input features in order, from :data:`kpconv_ros.mapping.features.FEATURE_NAMES`."""
    intensity_scale: float
    """Raw intensities are divided by it to reach 0..1."""
    ignored_label: int = 0
    """Label of unlabelled points."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""
    score: dict[str, Any] = field(default_factory=dict)
    """Headline score with its split."""

    def __post_init__(self) -> None:
        """Check that the parts fit.

        Raises:
            ConfigError: Naming what does not.
        """
        if len(self.classes) < 2 or len(self.colors) != len(self.classes):
            raise ConfigError(f"expected a colour for each of {len(self.classes)} classes, got {len(self.colors)}")
        if not all(0 < size < math.inf for size in (self.voxel_size, self.sphere_radius, self.intensity_scale)):
            raise ConfigError("expected positive, finite voxel_size, sphere_radius and intensity_scale")
        if not all(0 <= part <= 255 for color in self.colors for part in color):
            raise ConfigError(f"colors: expected numbers of 0 to 255, got {self.colors}")
        if not set(self.features) <= set(FEATURE_NAMES) or not self.features:
            raise ConfigError(f"features: expected some of {', '.join(FEATURE_NAMES)}, got {list(self.features)}")


@dataclass(frozen=True)
class Model:
    """A network ready for inference, with what must be known to use it."""

    manifest: Manifest
    network: KPFCNN


def load_manifest(name_or_path: str | Path) -> Manifest:
    """Read the manifest of a model.

    Raises:
        CheckpointError: If it is missing or malformed.
    """
    return read_manifest(find_model(name_or_path), Manifest, "a model that labels points")


def load_model(name_or_path: str | Path, device: str | torch.device = "cpu") -> Model:
    """Load a model for inference, batch norms folded.

    Args:
        name_or_path: Name of a shipped model, or a folder.
        device: Where to put the network; "auto" takes CUDA where there is a device.

    Raises:
        CheckpointError: If a file is missing or altered, or manifest and weights do not fit each other.
    """
    manifest, network = load_parts(name_or_path, Manifest, NETWORKS, "a model that labels points")
    path = find_model(name_or_path) / manifest.weights
    if not isinstance(network, KPFCNN):
        raise CheckpointError(f"{path}: expected a KP-FCNN, got a {type(network).__name__}")
    config = network.config
    fitting = (len(manifest.classes) - 1, len(manifest.features), manifest.voxel_size)
    if (config.num_classes, config.in_features, config.voxel_size) != fitting:
        raise CheckpointError(
            f"{path}: the manifest has (classes, features, voxel_size) {fitting}, the weights expect "
            f"{(config.num_classes, config.in_features, config.voxel_size)}"
        )
    fold_batch_norms(network)
    return Model(manifest, network.to(choose_device(device)))


def load_network(path: Path) -> Network:
    """Read a network in evaluation mode from weights that carry its Config.

    Raises:
        CheckpointError: If the file is no such thing, or tensors are missing, left over or of other shapes.
    """
    network: Network = read_weights(path, NETWORKS)
    return network


def save_network(network: Network, path: Path) -> str:
    """Write the weights with the network's Config inside, at once or not at all; return their SHA-256."""
    return write_weights(network, path, NETWORKS)


def save_model(folder: Path, network: nn.Module, manifest: Mapping[str, Any]) -> Manifest:
    """Write weights and manifest of a model.

    Args:
        folder: Made if absent.
        network: A KP-FCNN.
        manifest: Fields of :class:`Manifest` except ``weights``, ``sha256`` and ``voxel_size``, which are filled in.

    Returns:
        The manifest as written.
    """
    assert isinstance(network, KPFCNN)
    return save_parts(folder, network, NETWORKS, Manifest, {**manifest, "voxel_size": network.config.voxel_size})


def update_manifest(folder: Path, **changes: Any) -> None:
    """Rewrite fields of a model's manifest, such as its score."""
    write_manifest(folder, dataclasses.replace(load_manifest(folder), **changes))
