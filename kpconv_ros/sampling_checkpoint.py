# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models of learned sampling on disk: SampleNet, and the task networks that it is trained for.

Folders as in :mod:`kpconv_ros.checkpoint`, with a manifest of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from kpconv_ros.checkpoint import (
    MANIFEST,
    WEIGHTS,
    CheckpointError,
    check_unaltered,
    choose_device,
    find_model,
    read_weights,
    weights_beside,
    write_weights,
)
from kpconv_ros.config_io import config_from_mapping, config_to_mapping, param, read_yaml
from kpconv_ros.data.object_tasks import ObjectTaskConfig
from kpconv_ros.networks.pcrnet import PCRNet, PCRNetConfig
from kpconv_ros.networks.point_autoencoder import PointAutoencoder, PointAutoencoderConfig
from kpconv_ros.networks.pointnet import PointNet, PointNetConfig
from kpconv_ros.networks.samplenet import SampleNet, SampleNetConfig

TaskNetwork = PCRNet | PointNet | PointAutoencoder
NETWORKS: dict[str, tuple[Any, Any]] = {
    "samplenet_config": (SampleNet, SampleNetConfig),
    "pcrnet_config": (PCRNet, PCRNetConfig),
    "pointnet_config": (PointNet, PointNetConfig),
    "point_autoencoder_config": (PointAutoencoder, PointAutoencoderConfig),
}
"""Under which key of the weights' metadata the Config of which network stands."""


@dataclass(frozen=True)
class SamplingManifest:
    """What must be known to use the weights."""

    name: str
    """Name of the model."""
    weights: str
    """File of the weights, beside the manifest."""
    sha256: str
    """SHA-256 of that file, hexadecimal."""
    classes: tuple[str, ...]
    """Object classes."""
    objects: ObjectTaskConfig = param(ObjectTaskConfig, "task and objects that it was trained on")
    """Task and objects that it was trained on."""
    control_sizes: tuple[int, ...] = ()
    """Sizes that a progressive sampler was trained for, Eq. (7); empty for other networks."""
    task_sha256: str = ""
    """SHA-256 of the task network that a sampler was trained with; empty for task networks."""
    steps: int = 0
    """Optimiser steps of the training."""
    seed: int = 0
    """Of the training."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""


@dataclass(frozen=True)
class SamplerModel:
    """A sampler ready for inference."""

    manifest: SamplingManifest
    network: SampleNet


@dataclass(frozen=True)
class TaskModel:
    """A task network ready for inference."""

    manifest: SamplingManifest
    network: TaskNetwork


def load_sampler(name_or_path: str | Path, device: str | torch.device = "cpu") -> SamplerModel:
    """Load a SampleNet, in evaluation mode.

    Args:
        name_or_path: Name of a model, or a folder.
        device: Where to put the network; "auto" takes CUDA where there is a device.

    Raises:
        CheckpointError: If a file is missing or altered, or it is no SampleNet.
    """
    manifest, network = _load(name_or_path)
    if not isinstance(network, SampleNet):
        raise CheckpointError(f"{name_or_path}: expected a SampleNet, got a {type(network).__name__}")
    return SamplerModel(manifest, network.to(choose_device(device)))


def load_task_network(name_or_path: str | Path, device: str | torch.device = "cpu") -> TaskModel:
    """Load a PCRNet, PointNet or autoencoder, in evaluation mode.

    Raises:
        CheckpointError: If a file is missing or altered, or it is none of them.
    """
    manifest, network = _load(name_or_path)
    if not isinstance(network, TaskNetwork):
        raise CheckpointError(f"{name_or_path}: expected a task network, got a {type(network).__name__}")
    return TaskModel(manifest, network.to(choose_device(device)))


def save_sampling_model(
    folder: Path, network: SampleNet | TaskNetwork, manifest: Mapping[str, Any]
) -> SamplingManifest:
    """Write weights and manifest of a model.

    Args:
        folder: Made if absent.
        network: With any weights.
        manifest: Fields of :class:`SamplingManifest` except ``weights`` and ``sha256``, which are filled in.

    Returns:
        The manifest as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = write_weights(network, folder / WEIGHTS, NETWORKS)
    result = config_from_mapping(SamplingManifest, {**manifest, "weights": WEIGHTS, "sha256": sha256}, str(folder))
    text = yaml.safe_dump(config_to_mapping(result), sort_keys=False, default_flow_style=None, width=120)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return result


def _load(name_or_path: str | Path) -> tuple[SamplingManifest, Any]:
    path = find_model(name_or_path) / MANIFEST
    try:
        manifest = config_from_mapping(SamplingManifest, read_yaml(path), str(path))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: expected the manifest of a sampler or its task: {error}") from error
    weights = weights_beside(path, manifest.weights)
    check_unaltered(weights, manifest.sha256)
    return manifest, read_weights(weights, NETWORKS)
