# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros decode FILE -o OUT``: the cloud of tiles that ``kpconv-ros encode`` wrote."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from kpconv_ros.codec.tile import TILE_SIZE
from kpconv_ros.codec.tile_file import unpack_tile_file
from kpconv_ros.data.clouds import write_cloud
from kpconv_ros.pipelines.tile_codec import TileCodecConfig, make_codec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of the command."""
    parser.add_argument("file", type=Path, help="what kpconv-ros encode wrote")
    parser.add_argument("-o", "--output", required=True, help="file to write: .ply, .pcd, .las, .laz, .npy or .npz")
    parser.add_argument("--latent-model", default="", help="name or folder of a NeuralQAAD coder (default: none)")


def run(args: argparse.Namespace) -> int:
    """Decode the file and write the cloud."""
    file, codec = unpack_tile_file(args.file.read_bytes()), make_codec(TileCodecConfig(args.latent_model))
    points, labels = [np.zeros((0, 3), np.float32)], [np.zeros(0, np.uint8)]
    for packet in file.packets:
        content = codec.decode(packet.coder, packet.decoder_hash, packet.payload)
        corner = np.array([packet.key.ix * TILE_SIZE, packet.key.iy * TILE_SIZE, 0.0], np.float32)
        points.append(content.points + corner)
        labels.append(content.labels)
    cloud = np.concatenate(points)
    write_cloud(args.output, cloud, np.concatenate(labels), origin=np.array(file.origin))
    print(f"{len(cloud):,} points of {len(file.packets)} tiles\nwrote {args.output}")
    return 0
