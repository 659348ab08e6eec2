# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NeuralQAAD on disk: a folder as in :mod:`kpconv_ros.checkpoint`, with a manifest of its own."""

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
from kpconv_ros.config_io import config_from_mapping, config_to_mapping, read_yaml
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
    path = find_model(name_or_path) / MANIFEST
    try:
        manifest = config_from_mapping(NeuralQAADManifest, read_yaml(path), str(path))
    except ValueError as error:
        raise CheckpointError(f"{path}: expected the manifest of a NeuralQAAD: {error}") from error
    weights = weights_beside(path, manifest.weights)
    check_unaltered(weights, manifest.sha256)
    network: NeuralQAAD = read_weights(weights, NETWORKS)
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
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = write_weights(network, folder / WEIGHTS, NETWORKS)
    result = config_from_mapping(NeuralQAADManifest, {**manifest, "weights": WEIGHTS, "sha256": sha256}, str(folder))
    text = yaml.safe_dump(config_to_mapping(result), sort_keys=False, width=120)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return result
