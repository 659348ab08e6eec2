# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which coder makes a tile, by the bytes that are allowed for its points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from kpconv_ros.codec.draco_coder import DracoCoder
from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.tile import TileCoder, TileContent
from kpconv_ros.config_io import param

DEFAULT_LATENT_MODEL = "street_tiles"
COMPARED_BYTES = 600  # of a code; of longer ones above the crossover Draco's is nearer
MEASURED_POINTS = 2000  # of a tile, from which its distortion is measured in each direction


@dataclass(frozen=True)
class TileCodecConfig:
    """Which coders there are. Both ends of a link need the same."""

    latent_model: str = param(DEFAULT_LATENT_MODEL, "name or folder of the NeuralQAAD coder of tiles; empty: Draco "
                              "alone")  # fmt: skip


@dataclass(frozen=True)
class TileEncodingConfig(TileCodecConfig):
    """And how they encode; what decodes need not know."""

    crossover: float = param(0.16, "bytes a point up to which latents are taken, above it Draco", 0.0, 100.0)
    latent_steps: int = param(0, "steps of descent on a NeuralQAAD code: ten take half a second of a core", 0, 100)


class CodedTile(NamedTuple):
    """A payload and who made it."""

    coder: TileCoder
    payload: bytes
    is_finest: bool
    """Whether it is of the coder for the most bytes."""


def make_codec(config: TileCodecConfig) -> TileCodec:
    """The coders of a config.

    Raises:
        CheckpointError: If the model cannot be loaded.
    """
    encoding = config if isinstance(config, TileEncodingConfig) else TileEncodingConfig(config.latent_model)
    if not config.latent_model:
        return TileCodec([DracoCoder()], encoding.crossover)
    from kpconv_ros.pipelines.latent_tile_coder import LatentTileCoder  # loads torch
    from kpconv_ros.pipelines.subtile_coder import LatentTileCoderConfig

    steps = LatentTileCoderConfig(steps=encoding.latent_steps)
    return TileCodec([LatentTileCoder.from_pretrained(config.latent_model, steps), DracoCoder()], encoding.crossover)


class TileCodec:
    """Coders from few bytes to many: latents below the crossover, geometry above."""

    def __init__(self, coders: Sequence[TileCoder] = (DracoCoder(),), crossover: float = 0.1) -> None:
        """Take the coders.

        Args:
            coders: The one for the most bytes last.
            crossover: Bytes a point above which that one is asked first.

        Raises:
            CodecError: If there is none, or two have the same number.
        """
        ids = [coder.id for coder in coders]
        if not ids or len(set(ids)) != len(ids) or 0 in ids:
            raise CodecError(f"got coders {ids}, expected at least one, each number once and none 0")
        self._coders, self._crossover = tuple(coders), crossover
        self._coder_of_id = dict(zip(ids, coders))

    def encode(self, content: TileContent, max_bytes: int) -> CodedTile | None:
        """Code a tile; None if no coder can do it in so few bytes.

        Up to the crossover the first coder is taken that can, above it the last one. Of short codes above it, as tiles
        of few points have, all are made and the nearest is taken.

        Raises:
            CodecError: If the content is no tile.
        """
        is_below = max_bytes <= self._crossover * len(content.points)
        coders = self._coders if is_below else self._coders[::-1]
        found: list[CodedTile] = []
        for coder in coders:
            payload = coder.encode(content, max_bytes)
            if payload is not None:
                found.append(CodedTile(coder, payload, coder is self._coders[-1]))
            if found and (is_below or max_bytes > COMPARED_BYTES):
                break
        return found[0] if len(found) == 1 else min(found, key=lambda c: measure(content, c), default=None)

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


def measure(content: TileContent, coded: CodedTile) -> float:
    """Chamfer distance between a tile and what is decoded of its code, metres."""
    return chamfer_distance(content, coded.coder.decode(coded.payload))


def chamfer_distance(one: TileContent, other: TileContent) -> float:
    """Mean of the mean distances to the nearest point of the other, both ways, metres; of evenly taken points."""
    there, back = (mean_distance(a.points, b.points) for a, b in ((one, other), (other, one)))
    return (there + back) / 2


def mean_distance(source: np.ndarray, target: np.ndarray) -> float:
    """Mean distance of evenly taken points to the nearest one of a target, metres."""
    taken = source[:: -(-len(source) // MEASURED_POINTS)]
    return float(cKDTree(target).query(taken)[0].mean())
