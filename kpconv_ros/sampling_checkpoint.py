# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models of learned sampling on disk: SampleNet, and the task networks that it is trained for.

Folders as in :mod:`kpconv_ros.model_folder`, with a manifest of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kpconv_ros.config_io import param
from kpconv_ros.data.object_tasks import ObjectTaskConfig
from kpconv_ros.model_folder import CheckpointError, choose_device, load_parts, save_parts
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
_WHAT = "a sampler or its task"


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
    manifest, network = load_parts(name_or_path, SamplingManifest, NETWORKS, _WHAT)
    if not isinstance(network, SampleNet):
        raise CheckpointError(f"{name_or_path}: expected a SampleNet, got a {type(network).__name__}")
    return SamplerModel(manifest, network.to(choose_device(device)))


def load_task_network(name_or_path: str | Path, device: str | torch.device = "cpu") -> TaskModel:
    """Load a PCRNet, PointNet or autoencoder, in evaluation mode.

    Raises:
        CheckpointError: If a file is missing or altered, or it is none of them.
    """
    manifest, network = load_parts(name_or_path, SamplingManifest, NETWORKS, _WHAT)
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
    return save_parts(folder, network, NETWORKS, SamplingManifest, manifest)
