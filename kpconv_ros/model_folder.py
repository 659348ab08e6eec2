# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of models: weights with the network's Config inside them, and a manifest beside them, of any kind.

What kinds there are stands in the modules ``*checkpoint``. Loading is strict: nothing missing, nothing left over,
nothing altered.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from kpconv_ros.config_io import config_from_mapping, config_to_mapping, read_yaml

MANIFEST = "manifest.yaml"
WEIGHTS = "weights.safetensors"
MODELS_VARIABLE = "KPCONV_ROS_MODELS"


class CheckpointError(RuntimeError):
    """A model that cannot be found, or is not what its manifest says."""


class AnyManifest(Protocol):
    """What every manifest names: the file of the weights, and its SHA-256."""

    @property
    def weights(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102


ManifestT = TypeVar("ManifestT", bound=AnyManifest)


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


def load_parts(
    name_or_path: str | Path, kind: type[ManifestT], networks: Mapping[str, tuple[Any, Any]], what: str
) -> tuple[ManifestT, Any]:
    """Read the manifest of a model of any kind, and its network in evaluation mode.

    Args:
        name_or_path: Name of a model, or a folder.
        kind: Class of the manifest.
        networks: As for :func:`read_weights`.
        what: What is expected, for errors.

    Raises:
        CheckpointError: If a file is missing or malformed, or the weights are not those that the manifest names.
    """
    folder = find_model(name_or_path)
    manifest = read_manifest(folder, kind, what)
    if not manifest.weights or Path(manifest.weights).name != manifest.weights:
        told = f"weights: expected the name of a file beside it, got {manifest.weights!r}"
        raise CheckpointError(f"{folder / MANIFEST}: {told}")
    path = folder / manifest.weights
    if not path.is_file():
        raise CheckpointError(f"weights: expected the file {path}, which is missing")
    got = file_sha256(path)
    if got != manifest.sha256:
        raise CheckpointError(f"{path}: expected SHA-256 {manifest.sha256}, got {got}: the file was altered")
    return manifest, read_weights(path, networks)


def read_manifest(folder: Path, kind: type[ManifestT], what: str) -> ManifestT:
    """Read a manifest of any kind.

    Raises:
        CheckpointError: If it is missing or malformed; ``what`` says of what one was expected.
    """
    path = folder / MANIFEST
    try:
        return config_from_mapping(kind, read_yaml(path), str(path))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: expected the manifest of {what}: {error}") from error


def read_weights(path: Path, networks: Mapping[str, tuple[Any, Any]]) -> Any:
    """Read one of several kinds of network, in evaluation mode, from weights that carry its Config.

    Args:
        path: Safetensors file.
        networks: Network and its Config by the key of the metadata under which the Config stands.

    Raises:
        CheckpointError: If the file holds none of them, or tensors are missing, left over or of other shapes.
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


def save_parts(
    folder: Path,
    network: nn.Module,
    networks: Mapping[str, tuple[Any, Any]],
    kind: type[ManifestT],
    manifest: Mapping[str, Any],
) -> ManifestT:
    """Write weights and manifest of a model of any kind.

    Args:
        folder: Made if absent.
        network: With any weights.
        networks: As for :func:`read_weights`.
        kind: Class of the manifest.
        manifest: Its fields except ``weights`` and ``sha256``, which are filled in.

    Returns:
        The manifest as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = write_weights(network, folder / WEIGHTS, networks)
    result = config_from_mapping(kind, {**manifest, "weights": WEIGHTS, "sha256": sha256}, str(folder))
    write_manifest(folder, result)
    return result


def write_manifest(folder: Path, manifest: Any) -> None:
    """Write the manifest of a model beside its weights."""
    plain = config_to_mapping(manifest)
    is_nested = any(isinstance(value, (dict, list)) for value in plain.values())
    flow = None if is_nested else False  # lists of numbers on one line, but never the whole manifest
    text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=flow, width=120)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def write_weights(network: Any, path: Path, networks: Mapping[str, tuple[Any, Any]]) -> str:
    """Write weights with the network's Config inside, at once or not at all; return their SHA-256.

    ``networks`` is as for :func:`read_weights`.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    temporary = path.with_suffix(".partial")
    key = next(key for key, (kind, _) in networks.items() if isinstance(network, kind))
    save_file(state, temporary, {key: json.dumps(config_to_mapping(network.config))})
    temporary.chmod(0o644)  # safetensors lets only the owner read
    temporary.replace(path)
    return file_sha256(path)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
