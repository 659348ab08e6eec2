# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NeuralQAAD on disk: a folder as in :mod:`kpconv_ros.model_folder`, with a manifest of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kpconv_ros.model_folder import choose_device, load_parts, save_parts
from kpconv_ros.networks.neural_qaad import NeuralQAAD, NeuralQAADConfig

NETWORKS = {"neural_qaad_config": (NeuralQAAD, NeuralQAADConfig)}
"""Under which key of the weights' metadata the Config stands."""


@dataclass(frozen=True)
class NeuralQAADManifest:
    """What must be known to use the weights; the sizes stand inside them."""

    name: str
    """Name of the model."""
    weights: str
    """File of the weights, beside the manifest."""
    sha256: str
    """SHA-256 of that file, hexadecimal."""
    unit: float = 1.0
    """Length of 1 in the network's output, in the unit of the clouds that it was trained on."""
    steps: int = 0
    """Optimiser steps of the training."""
    kind: str = "neural-qaad"
    """Tells it from a model that labels points."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""


def load_neural_qaad(name_or_path: str | Path, device: str | torch.device = "cpu") -> NeuralQAAD:
    """Load a NeuralQAAD for inference, its table of codes included.

    Args:
        name_or_path: Name of a shipped model, or a folder.
        device: Where to put the network; "auto" takes CUDA where there is a device.

    Raises:
        CheckpointError: If a file is missing or altered, or is no NeuralQAAD.
    """
    network: NeuralQAAD = load_parts(name_or_path, NeuralQAADManifest, NETWORKS, "a NeuralQAAD")[1]
    return network.to(choose_device(device))


def save_neural_qaad(folder: Path, network: NeuralQAAD, manifest: Mapping[str, Any]) -> NeuralQAADManifest:
    """Write weights and manifest.

    Args:
        folder: Made if absent.
        network: With any weights.
        manifest: Fields of :class:`NeuralQAADManifest` except ``weights`` and ``sha256``, which are filled in.

    Returns:
        The manifest as written.
    """
    return save_parts(folder, network, NETWORKS, NeuralQAADManifest, manifest)
