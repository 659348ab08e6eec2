# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles of a street map as codes of a NeuralQAAD: a few hundred bytes for 16,384 points."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.latent_payload import (
    LatentTile,
    classes_of,
    counts_of,
    levels_of,
    most_of,
    pack_tile,
    size_of,
    unpack_tile,
)
from kpconv_ros.codec.subtiles import Subtiles, draw_rows, origins_of, split_tile
from kpconv_ros.codec.tile import TILE_SIZE, TileContent, check_content
from kpconv_ros.config_io import param
from kpconv_ros.losses.chamfer import mean_distances
from kpconv_ros.map_codec_checkpoint import MapCodec, load_map_codec
from kpconv_ros.networks.subtile_codec import SubtileCodec, describe_subtiles

Array = NDArray[Any]
DEFAULT_MAP_CODEC = "street_tiles"


@dataclass(frozen=True)
class LatentTileCoderConfig:
    """How much time encoding takes."""

    steps: int = param(20, "steps of descent on the codes of a tile, after the encoder's guess", 0)
    learning_rate: float = param(0.1, "of these steps, of a standard deviation of the codes", 0.0)
    points: int = param(512, "points of each sub-tile that the encoder and these steps look at", 16)
    seed: int = param(0, "of the points that are decoded in each step", 0)


class LatentTileCoder:
    """Codes of sub-tiles: an encoder's guess, some steps of descent with the decoder frozen, rounding, range coding."""

    id = 2
    name = "NeuralQAAD"

    def __init__(self, codec: MapCodec, config: LatentTileCoderConfig | None = None) -> None:
        """Take weights and tables."""
        self.config = config or LatentTileCoderConfig()
        self._network, self._tables = codec.network, codec.tables
        self._hash = codec.decoder_hash
