# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which coder makes a tile, by the bytes that are allowed for its points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from kpconv_ros.codec.draco_coder import DracoCoder
from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.tile import TileCoder, TileContent
from kpconv_ros.config_io import param

MEASURED_POINTS = 2000  # of a tile, from which its distortion is measured in each direction


@dataclass(frozen=True)
class TileCodecConfig:
    """Which coders there are. Both ends of a link need the same."""

    latent_model: str = param("", "name or folder of the NeuralQAAD coder of tiles; empty: Draco alone")
    crossover: float = param(0.06, "bytes a point below which its latents are better than Draco", 0.0, 100.0)


class CoderRange(NamedTuple):
    """A coder and up to where it is the best one."""

    coder: TileCoder
    max_rate: float
    """Bytes a point above which the next coder is better."""


class CodedTile(NamedTuple):
    """A payload, and what it is worth."""

    coder: TileCoder
    payload: bytes
    distortion: float
    """Chamfer distance between tile and decoded tile: mean over both directions, metres."""


def make_codec(config: TileCodecConfig) -> TileCodec:
    """The coders of a config.

    Raises:
        CheckpointError: If the model cannot be loaded.
    """
    draco = CoderRange(DracoCoder(), math.inf)
    if not config.latent_model:
        return TileCodec([draco])
    from kpconv_ros.pipelines.latent_tile_coder import LatentTileCoder  # loads torch

    return TileCodec([CoderRange(LatentTileCoder.from_pretrained(config.latent_model), config.crossover), draco])


class TileCodec:
    """Coders in the order of the rates for which they are the best: latents below the crossover, geometry above."""

    def __init__(self, ranges: Sequence[CoderRange] = (CoderRange(DracoCoder(), math.inf),)) -> None:
        """Take the coders.

        Raises:
            CodecError: If there is none, or two have the same number.
        """
        ids = [coder_range.coder.id for coder_range in ranges]
        if not ids or len(set(ids)) != len(ids) or 0 in ids:
            raise CodecError(f"got coders {ids}, expected at least one, each number once and none 0")
        self._ranges = tuple(ranges)
        self._coder_of_id = {coder_range.coder.id: coder_range.coder for coder_range in ranges}

    def encode(self, content: TileContent, max_bytes: int) -> CodedTile | None:
        """Code a tile; None if no coder can do it in so few bytes.

        The coder whose range holds the rate is asked first, then those of higher rates, then those of lower ones.

        Raises:
            CodecError: If the content is no tile.
        """
        rate = max_bytes / max(len(content.points), 1)
        first = next((i for i, found in enumerate(self._ranges) if rate <= found.max_rate), len(self._ranges) - 1)
        for coder_range in (*self._ranges[first:], *reversed(self._ranges[:first])):
            payload = coder_range.coder.encode(content, max_bytes)
            if payload is not None:
                decoded = coder_range.coder.decode(payload)
                return CodedTile(coder_range.coder, payload, chamfer_distance(content, decoded))
        return None

    def decode(self, coder_id: int, decoder_hash: int, payload: bytes) -> TileContent:
        """The tile of a payload.

        Raises:
            CodecError: If the coder is unknown, its decoder is another one, or it refuses the payload.
        """
        coder = self.coder(coder_id)
        if decoder_hash != coder.decoder_hash:
            raise CodecError(
                f"got a tile for the {coder.name} decoder {decoder_hash:08x}, expected {coder.decoder_hash:08x}: "
                "sender and receiver need the same weights"
            )
        return coder.decode(payload)

    def coder(self, coder_id: int) -> TileCoder:
        """The coder of a number.

        Raises:
            CodecError: If there is none.
        """
        if coder_id not in self._coder_of_id:
            known = ", ".join(f"{number} ({coder.name})" for number, coder in self._coder_of_id.items())
            raise CodecError(f"got a tile of coder {coder_id}, expected one of {known}")
        return self._coder_of_id[coder_id]


def chamfer_distance(one: TileContent, other: TileContent) -> float:
    """Mean of the mean distances to the nearest point of the other, both ways, metres; of evenly taken points."""
    there, back = (_mean_distance(a.points, b.points) for a, b in ((one, other), (other, one)))
    return (there + back) / 2


def _mean_distance(source: np.ndarray, target: np.ndarray) -> float:
    taken = source[:: -(-len(source) // MEASURED_POINTS)]
    return float(cKDTree(target).query(taken)[0].mean())
