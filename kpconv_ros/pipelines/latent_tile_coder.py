# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles of a street map as codes of a NeuralQAAD: some hundred bytes for 16,384 points."""

import zlib
from collections.abc import Sequence

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.latent_payload import read_variant
from kpconv_ros.codec.tile import TileContent, check_content
from kpconv_ros.map_codec_checkpoint import MapCodec, load_map_codec
from kpconv_ros.pipelines.subtile_coder import LatentTileCoderConfig, SubtileCoder

DEFAULT_MAP_CODEC = "street_tiles"


class LatentTileCoder:
    """NeuralQAAD as a :class:`kpconv_ros.codec.tile.TileCoder`.

    There may be two networks: one for small sub-tiles, and one for large ones that is used where so few bytes are
    allowed that the other cannot tell of all sub-tiles.
    """

    id = 2
    name = "neural_qaad"

    def __init__(
        self, codecs: Sequence[MapCodec], decoder_hash: int, config: LatentTileCoderConfig | None = None
    ) -> None:
        """Take one or two networks, that with the smaller sub-tiles first, and the number that tells them from others.

        Raises:
            CodecError: If there are none, or more.
        """
        if not 1 <= len(codecs) <= 2:
            raise CodecError(f"expected one or two networks, got {len(codecs)}")
        self.config = config or LatentTileCoderConfig()
        self.decoder_hash = decoder_hash
        self._coders = [SubtileCoder(codec, variant, self.config) for variant, codec in enumerate(codecs)]

    @classmethod
    def from_pretrained(
        cls, name_or_path: str = DEFAULT_MAP_CODEC, config: LatentTileCoderConfig | None = None
    ) -> "LatentTileCoder":
        """Load a shipped coder, or that of a folder, and the coarse one that its manifest names.

        Raises:
            CheckpointError: If a file is missing or altered, or is no coder of map tiles.
        """
        codec, manifest = load_map_codec(name_or_path)
        if not manifest.coarse:
            return cls([codec], manifest.decoder_hash, config)
        coarse, its_manifest = load_map_codec(manifest.coarse)
        joined = zlib.crc32(f"{manifest.sha256} {its_manifest.sha256}".encode())
        return cls([codec, coarse], joined, config)

    def encode(self, content: TileContent, max_bytes: int) -> bytes | None:
        """Encode at the finest level that fits, see :meth:`kpconv_ros.codec.tile.TileCoder.encode`."""
        check_content(content)
        for coder in self._coders:
            payload = coder.encode(content, max_bytes, in_part=coder is self._coders[-1])
            if payload is not None:
                return payload
        return None

    def decode(self, payload: bytes) -> TileContent:
        """Decode, see :meth:`kpconv_ros.codec.tile.TileCoder.decode`; a point has the label of its patch."""
        variant = read_variant(payload)
        if variant >= len(self._coders):
            raise CodecError(f"payload: got one of network {variant}, expected one of {len(self._coders)}")
        return self._coders[variant].decode(payload)
