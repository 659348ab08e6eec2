# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models on disk: weights, the network's Config inside them, and a manifest beside them.

A model is a folder ``<name>/`` with ``manifest.yaml``, ``weights.safetensors``, ``README.md`` (the model card) and,
once measured, ``scores.json``. Loading is strict: nothing missing, nothing left over, nothing altered.
"""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from kpconv_ros.config_io import ConfigError, config_from_mapping, config_to_mapping, read_yaml
from kpconv_ros.layers.blocks import fold_batch_norms
from kpconv_ros.mapping.features import FEATURE_NAMES
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN, PartKPFCNNConfig

MANIFEST = "manifest.yaml"
WEIGHTS = "weights.safetensors"
MODELS_VARIABLE = "KPCONV_ROS_MODELS"
Network = KPFCNN | KPCNN | PartKPFCNN
NETWORKS: dict[str, tuple[Any, Any]] = {
    "kpfcnn_config": (KPFCNN, KPFCNNConfig),
    "kpcnn_config": (KPCNN, KPCNNConfig),
    "part_kpfcnn_config": (PartKPFCNN, PartKPFCNNConfig),
}
"""Under which key of the weights' metadata the Config of which network stands."""


class CheckpointError(RuntimeError):
    """A model that cannot be found, or is not what its manifest says."""


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


def find_model(name_or_path: str | Path) -> Path:
    """Return the folder of a model.

    Looked for, in this order: the path itself, ``$KPCONV_ROS_MODELS``, the source tree, the installed share folders.

    Raises:
        CheckpointError: If it is nowhere, with the places.
    """
    folders = [Path(name_or_path)]
    if os.environ.get(MODELS_VARIABLE):
        folders.append(Path(os.environ[MODELS_VARIABLE]) / name_or_path)
    folders.append(Path(__file__).resolve().parent.parent / "models" / name_or_path)
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    prefixes += list(Path(__file__).resolve().parents)[4:5]  # PREFIX/lib/pythonX.Y/site-packages/kpconv_ros
    folders += [prefix / "share" / "kpconv_ros" / "models" / name_or_path for prefix in prefixes]
    for folder in folders:
        if (folder / MANIFEST).is_file():
            return folder
    raise CheckpointError(f"model {name_or_path}: no {MANIFEST} in any of {', '.join(map(str, folders))}")


def load_manifest(name_or_path: str | Path) -> Manifest:
    """Read the manifest of a model.

    Raises:
        CheckpointError: If it is missing or malformed.
    """
    path = find_model(name_or_path) / MANIFEST
    try:
        return config_from_mapping(Manifest, read_yaml(path), str(path))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def load_model(name_or_path: str | Path, device: str | torch.device = "cpu") -> Model:
    """Load a model for inference, batch norms folded.

    Args:
        name_or_path: Name of a shipped model, or a folder.
        device: Where to put the network; "auto" takes CUDA where there is a device.

    Raises:
        CheckpointError: If a file is missing or altered, or manifest and weights do not fit each other.
    """
    folder, manifest = find_model(name_or_path), load_manifest(name_or_path)
    path = weights_beside(folder / MANIFEST, manifest.weights)
    network = load_unaltered_network(path, manifest.sha256)
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


def load_unaltered_network(path: Path, sha256: str) -> Network:
    """Read a network in evaluation mode from the file of a model.

    Raises:
        CheckpointError: If the file is missing, or not that of the SHA-256, or as :func:`load_network`.
    """
    check_unaltered(path, sha256)
    return load_network(path)


def weights_beside(manifest: Path, name: str) -> Path:
    """Return the file of the weights that a manifest names.

    Raises:
        CheckpointError: If it is no name of a file in the same folder.
    """
    if not name or Path(name).name != name:
        raise CheckpointError(f"{manifest}: weights: expected the name of a file beside it, got {name!r}")
    return manifest.with_name(name)


def check_unaltered(path: Path, sha256: str) -> None:
    """Check that weights are those that their manifest names.

    Raises:
        CheckpointError: If the file is missing, or not that of the SHA-256.
    """
    if not path.is_file():
        raise CheckpointError(f"weights: expected the file {path}, which is missing")
    got = file_sha256(path)
    if got != sha256:
        raise CheckpointError(f"{path}: expected SHA-256 {sha256}, got {got}: the file was altered")


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device; "auto" is CUDA where there is one.

    Raises:
        CheckpointError: If the device does not exist here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError) as error:
        raise CheckpointError(f"device: expected one of this machine, got {device}: {error}") from error


def load_network(path: Path) -> Network:
    """Read a network in evaluation mode from weights that carry its Config.

    Raises:
        CheckpointError: If the file is no such thing, or tensors are missing, left over or of other shapes.
    """
    network: Network = read_weights(path, NETWORKS)
    return network


def read_weights(path: Path, networks: Mapping[str, tuple[Any, Any]]) -> Any:
    """Read one of several kinds of network, in evaluation mode, from weights that carry its Config.

    Args:
        path: Safetensors file.
        networks: Network and its Config by the key of the metadata under which the Config stands.

    Raises:
        CheckpointError: As :func:`load_network`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        key = next((key for key in networks if key in metadata), None)
        if key is None:
            raise CheckpointError(f"{path}: expected a Config under one of {sorted(networks)}, got {sorted(metadata)}")
        kind, config_class = networks[key]
        network = kind(config_from_mapping(config_class, json.loads(metadata[key]), str(path)))
        network.load_state_dict(state, strict=True)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise error if isinstance(error, CheckpointError) else CheckpointError(f"{path}: {error}") from error
    return network.eval()


def save_network(network: Network, path: Path) -> str:
    """Write the weights with the network's Config inside, at once or not at all; return their SHA-256."""
    return write_weights(network, path, NETWORKS)


def write_weights(network: Any, path: Path, networks: Mapping[str, tuple[Any, Any]]) -> str:
    """Write the weights of one of several kinds of network as :func:`save_network` does; return their SHA-256."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    temporary = path.with_suffix(".partial")
    key = next(key for key, (kind, _) in networks.items() if isinstance(network, kind))
    save_file(state, temporary, {key: json.dumps(config_to_mapping(network.config))})
    temporary.chmod(0o644)  # safetensors lets only the owner read
    temporary.replace(path)
    return file_sha256(path)


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
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = save_network(network, folder / WEIGHTS)
    known = {**manifest, "weights": WEIGHTS, "sha256": sha256, "voxel_size": network.config.voxel_size}
    result = config_from_mapping(Manifest, known, str(folder))
    plain = config_to_mapping(result)
    text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=120)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return result


def update_manifest(folder: Path, **changes: Any) -> None:
    """Rewrite fields of a model's manifest, such as its score."""
    manifest = dataclasses.replace(load_manifest(folder), **changes)
    text = yaml.safe_dump(config_to_mapping(manifest), sort_keys=False, default_flow_style=None, width=120)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
