# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coders of map tiles on disk: a folder as in :mod:`kpconv_ros.model_folder`, weights and frequencies in one file."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from kpconv_ros.codec.latent_payload import NUM_CLASSES, LatentTables
from kpconv_ros.model_folder import load_parts, save_parts
from kpconv_ros.networks.subtile_codec import SubtileCodec, SubtileCodecConfig

FINE = 4
"""Levels of the tables for each level of the network."""


class MapCodec(nn.Module):
    """A network for sub-tiles, and the frequencies of the symbols that its codes are written with."""

    class_frequencies: Tensor
    ground_frequencies: Tensor
    number_frequencies: Tensor
    share_bounds: Tensor

    def __init__(self, config: SubtileCodecConfig) -> None:
        """Make a network with random weights, and tables that are to be filled."""
        super().__init__()
        self.config = config
        self.network = SubtileCodec(config)
        levels, latent_size = num_fine_levels(config), config.decoder.latent_size
        shapes = {
            "class_frequencies": (NUM_CLASSES, NUM_CLASSES),
            "ground_frequencies": (1, 256),
            "number_frequencies": (levels, latent_size, 2 * config.most + 1),
            "share_bounds": (2 * levels - 2,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int32))

    def fill(self, tables: LatentTables) -> None:
        """Set the frequencies."""
        for buffer, table in zip(self._tables(), tables, strict=False):  # the side stands in the config
            buffer.copy_(torch.from_numpy(table))

    def read_tables(self) -> LatentTables:
        """Return the frequencies as arrays."""
        classes, grounds, numbers, shares = (buffer.cpu().numpy() for buffer in self._tables())
        return LatentTables(classes, grounds, numbers, shares, self.config.side)

    def _tables(self) -> tuple[Tensor, ...]:
        return self.class_frequencies, self.ground_frequencies, self.number_frequencies, self.share_bounds


NETWORKS = {"map_codec_config": (MapCodec, SubtileCodecConfig)}
"""Under which key of the weights' metadata the Config stands."""


def num_fine_levels(config: SubtileCodecConfig) -> int:
    """Return how many levels a payload can have."""
    return FINE * (config.levels - 1) + 1


@dataclass(frozen=True)
class MapCodecManifest:
    """What must be known to use the weights; the sizes stand inside them."""

    name: str
    """Name of the model."""
    weights: str
    """File of the weights, beside the manifest."""
    sha256: str
    """SHA-256 of that file, hexadecimal; its first 32 bits tell a receiver whether it has the same decoder."""
    kind: str = "map-codec"
    """Tells it from a model that labels points."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""
    coarse: str = ""
    """Name of the coder for larger sub-tiles that is used where few bytes are allowed; empty if there is none."""

    @property
    def decoder_hash(self) -> int:
        """The first 32 bits of the SHA-256."""
        return int(self.sha256[:8], 16)


def load_map_codec(name_or_path: str | Path) -> tuple[MapCodec, MapCodecManifest]:
    """Load a coder of map tiles for the CPU.

    Args:
        name_or_path: Name of a shipped model, or a folder.

    Raises:
        CheckpointError: If a file is missing or altered, or is no coder of map tiles.
    """
    manifest, codec = load_parts(name_or_path, MapCodecManifest, NETWORKS, "a map codec")
    return codec.requires_grad_(False), manifest


def save_map_codec(folder: Path, codec: MapCodec, name: str, licence: str, coarse: str = "") -> MapCodecManifest:
    """Write weights, frequencies and manifest; the folder is made if absent."""
    fields = {"name": name, "licence": licence, "coarse": coarse}
    return save_parts(folder, codec, NETWORKS, MapCodecManifest, fields)
