# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an exported file says about itself: enough to prepare its inputs and to read its logits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from kpconv_ros.checkpoint import Manifest, load_model, load_network
from kpconv_ros.config_io import ConfigError, config_from_mapping, config_to_mapping
from kpconv_ros.model_folder import CheckpointError, file_sha256
from kpconv_ros.networks.kpcnn import KPCNN
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.shape_checkpoint import ShapeManifest, is_shape_model, load_shape_model

UNKNOWN_LICENCE = "unknown"


class ExportError(ValueError):
    """A network that cannot be exported, a file that is no exported network, or input that does not fit one."""


@dataclass(frozen=True)
class Description:
    """Stands in the metadata of the file, each field under its name: texts as they are, the rest as JSON."""

    model: str
    """Name of the model."""
    network: str
    """"KPFCNN", a row of logits for each point, or "KPCNN", one for each cloud."""
    num_classes: int
    """Columns of the logits."""
    num_features: int
    """Columns of the features."""
    voxel_size: float
    """Cell of the first level, metres; it doubles from level to level. All lengths of a network for single objects are
    in radii of the object."""
    radii: tuple[float, ...]
    """Neighbourhood radius of each level, metres."""
    pooling_radii: tuple[float, ...]
    """Radius in which the points of each level but the last are pooled around those of the next, metres."""
    max_neighbors: tuple[int, ...]
    """Most neighbours of each level, the nearest; no limit if empty."""
    sha256: str
    """SHA-256 of the weights file that was exported, hexadecimal."""
    licence: str = UNKNOWN_LICENCE
    """Licence of the weights."""
    classes: tuple[str, ...] = ()
    """Name of each column of the logits; empty if not known."""
    features: tuple[str, ...] = ()
    """Name of each column of the features, from :mod:`kpconv_ros.mapping.features`, or for single objects from
    :mod:`kpconv_ros.data.shapes`; empty if not known."""
    sphere_radius: float = 0.0
    """Radius of the spheres that the network was trained on, metres, 1 for single objects; 0 if not known."""
    intensity_scale: float = 1.0
    """Raw intensities are divided by it to reach 0..1."""

    @property
    def num_levels(self) -> int:
        """Levels of the pyramid."""
        return len(self.radii)

    @property
    def classifies_clouds(self) -> bool:
        """Whether a cloud has one row of logits, not each of its points."""
        return self.network == KPCNN.__name__

    def to_metadata(self) -> dict[str, str]:
        """Return the texts to write into a file."""
        plain = config_to_mapping(self)
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in plain.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str = "metadata") -> "Description":
        """Read what :meth:`to_metadata` wrote; other keys do not matter.

        Raises:
            ExportError: If something is missing or malformed.
        """
        types = {field.name: field.type for field in fields(cls)}
        missing = [name for name in types if name not in metadata]
        if missing:
            raise ExportError(f"{source}: expected the metadata of an exported network, without {', '.join(missing)}")
        try:
            values = {
                name: metadata[name] if kind is str else json.loads(metadata[name]) for name, kind in types.items()
            }
            return config_from_mapping(cls, values, source)
        except (json.JSONDecodeError, ConfigError) as error:
            raise ExportError(f"{source}: {error}") from error


def load_described(model: str) -> tuple[KPFCNN | KPCNN, Description, Manifest | ShapeManifest | None]:
    """Load a network to export.

    Args:
        model: Name or folder of a model; or a ``.safetensors`` file of weights alone, about which less is known.

    Returns:
        The network in evaluation mode, what is known about it, and the manifest of a model.

    Raises:
        CheckpointError: If it cannot be loaded.
        ExportError: If it is another kind of network.
    """
    if not model.endswith(".safetensors"):
        loaded = load_shape_model(model) if is_shape_model(model) else load_model(model)
        network, manifest = loaded.network, loaded.manifest
        if not isinstance(network, KPFCNN | KPCNN):
            raise ExportError(f"{model}: expected a KP-FCNN or a KP-CNN, got one with a head for each object class")
        return network, describe(network, manifest), manifest
    path = Path(model)
    if not path.is_file():
        raise CheckpointError(f"weights: expected the file {path}, which is missing")
    network = load_network(path)
    if not isinstance(network, KPFCNN | KPCNN):
        raise ExportError(f"{path}: expected a KP-FCNN or a KP-CNN, got a {type(network).__name__}")
    return network, describe(network, None, path.stem, file_sha256(path)), None


def describe(
    network: KPFCNN | KPCNN, manifest: Manifest | ShapeManifest | None, name: str = "", sha256: str = ""
) -> Description:
    """Describe a network by its Config and its manifest; without one, by its name and the SHA-256 of its weights."""
    config = network.config
    sizes = {
        "network": type(network).__name__,
        "num_classes": config.num_classes,
        "num_features": config.in_features,
        "voxel_size": config.voxel_size,
        "radii": config.radii,
        "pooling_radii": config.pooling_radii,
        "max_neighbors": config.max_neighbors,
    }
    if manifest is None:
        return Description(model=name, sha256=sha256, **sizes)  # type: ignore[arg-type]
    sizes |= {"model": manifest.name, "sha256": manifest.sha256, "licence": manifest.licence}
    if isinstance(manifest, ShapeManifest):
        return Description(classes=manifest.classes, features=manifest.features, sphere_radius=1.0, **sizes)  # type: ignore[arg-type]
    return Description(
        classes=manifest.classes[1:],  # the first is that of unlabelled points, which has no logit
        features=manifest.features,
        sphere_radius=manifest.sphere_radius,
        intensity_scale=manifest.intensity_scale,
        **sizes,  # type: ignore[arg-type]
    )
