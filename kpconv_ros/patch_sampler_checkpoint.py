# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sampler for scans on disk: a folder as in :mod:`kpconv_ros.model_folder`, with a manifest of its own."""

from dataclasses import dataclass
from pathlib import Path

import torch

from kpconv_ros.layers.blocks import fold_batch_norms
from kpconv_ros.model_folder import choose_device, load_parts, save_parts
from kpconv_ros.networks.patch_sampler import PatchSamplerConfig, PatchSamplerNet

NETWORKS = {"patch_sampler_config": (PatchSamplerNet, PatchSamplerConfig)}
"""Under which key of the weights' metadata the Config stands."""


@dataclass(frozen=True)
class PatchSamplerManifest:
    """What must be known to use the weights; the sizes stand inside them."""

    name: str
    """Name of the model."""
    weights: str
    """File of the weights, beside the manifest."""
    sha256: str
    """SHA-256 of that file, hexadecimal."""
    kind: str = "patch-sampler"
    """Tells it from a model that labels points."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""


def load_patch_sampler(name_or_path: str | Path, device: str | torch.device = "cpu") -> PatchSamplerNet:
    """Load a sampler for inference, batch norms folded.

    Args:
        name_or_path: Name of a shipped model, or a folder.
        device: Where to put the network; "auto" takes CUDA where there is a device.

    Raises:
        CheckpointError: If a file is missing or altered, or is no sampler.
    """
    network: PatchSamplerNet = load_parts(name_or_path, PatchSamplerManifest, NETWORKS, "a sampler")[1]
    fold_batch_norms(network)
    return network.to(choose_device(device))


def save_patch_sampler(folder: Path, network: PatchSamplerNet, name: str) -> PatchSamplerManifest:
    """Write weights and manifest; the folder is made if absent."""
    return save_parts(folder, network, NETWORKS, PatchSamplerManifest, {"name": name})
