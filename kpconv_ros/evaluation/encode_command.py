# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros encode FILE -o OUT``: a labelled cloud as tiles of few bytes, and what they are worth."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from kpconv_ros.codec.packet import Packet
from kpconv_ros.codec.tile import TILE_SIZE, TileContent, TileKey
from kpconv_ros.codec.tile_file import TileFile, pack_tile_file
from kpconv_ros.data.clouds import read_cloud
from kpconv_ros.mapping.tile_map import TileMap
from kpconv_ros.pipelines.tile_codec import CodedTile, TileCodecConfig, make_codec, measure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of the command."""
    parser.add_argument(
        "file", help="cloud to encode: .bin, .pcd, .ply, .las, .laz, .npy or .npz; a field label is kept"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    parser.add_argument("--max-bytes", type=int, default=4600, help="of a tile of 20 m (default %(default)s)")
    parser.add_argument("--voxel-size", type=float, default=0.2, help="one point of each is kept, metres (default 0.2)")
    parser.add_argument("--latent-model", default="", help="name or folder of a NeuralQAAD coder (default: none)")


def run(args: argparse.Namespace) -> int:
    """Encode the file and say what became of it."""
    cloud, codec = read_cloud(args.file), make_codec(TileCodecConfig(args.latent_model))
    labels = np.zeros(len(cloud.points), np.uint8) if cloud.labels is None else np.clip(cloud.labels, 0, 255)
    tile_map = TileMap(TILE_SIZE, args.voxel_size)
    tile_map.insert(cloud.points, labels.astype(np.uint8))
    coded: dict[TileKey, CodedTile] = {}
    distortions: dict[TileKey, float] = {}
    for key, tile in sorted(tile_map.tiles.items()):
        content = TileContent(tile.points, tile.labels)
        found = codec.encode(content, args.max_bytes)
        if found is not None:
            coded[TileKey(*key)], distortions[TileKey(*key)] = found, measure(content, found)
    packets = [Packet(tile.coder.id, tile.coder.decoder_hash, key, 1, tile.payload) for key, tile in coded.items()]
    x, y, z = (float(value) for value in cloud.origin)
    data = pack_tile_file(TileFile((x, y, z), packets))
    args.output.write_bytes(data)
    print(summarize(coded, distortions, len(tile_map.tiles), len(cloud.points), len(data)))
    print(f"wrote {args.output}")
    return 0


def summarize(
    coded: dict[TileKey, CodedTile], distortions: dict[TileKey, float], num_tiles: int, num_points: int, num_bytes: int
) -> str:
    """Tell sizes and distortion."""
    lines = [f"{num_points:,} points, {num_bytes:,} bytes: {num_bytes / max(num_points, 1):.3f} a point"]
    for name in sorted({tile.coder.name for tile in coded.values()}):
        keys = [key for key, tile in coded.items() if tile.coder.name == name]
        sizes, of_them = [len(coded[key].payload) for key in keys], [distortions[key] for key in keys]
        lines.append(
            f"  {len(keys)} tiles by {name}: {np.median(sizes):.0f} bytes (most {max(sizes)}), "
            f"Chamfer {np.median(of_them):.3f} m (most {max(of_them):.3f})"
        )
    if len(coded) < num_tiles:
        lines.append(f"  {num_tiles - len(coded)} tiles are left out: no coder can do them in so few bytes")
    return "\n".join(lines)
