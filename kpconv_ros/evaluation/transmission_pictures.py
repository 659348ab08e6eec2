# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros draw-transmission``: a street before and after the link, at several rates, the same view."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.packet import Packet, pack_packet
from kpconv_ros.codec.tile import TILE_SIZE, TileContent, TileKey
from kpconv_ros.data.street_maps import StreetMapConfig, cut_tiles, draw_points, kitti_map, simulate_map
from kpconv_ros.data.subtile_set import TILE_POINTS
from kpconv_ros.evaluation.camera import look_from_behind
from kpconv_ros.evaluation.pictures import dark_figure, draw_view, save_figure
from kpconv_ros.pipelines.latent_tile_coder import DEFAULT_MAP_CODEC, LatentTileCoder

REACH = 30.0
"""Tiles whose middle is so near to the middle of the drive are drawn, metres."""
LEAST_POINTS = 2000
LOW, HIGH = -0.5, 4.0  # m above the ground, of the colours


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--kitti", type=Path, help="folder of SemanticKITTI")
    parser.add_argument("--sequence", help="of it; without one, a simulated street is drawn")
    parser.add_argument("--seed", type=int, default=9000, help="of the simulated street")
    parser.add_argument("--model", default=DEFAULT_MAP_CODEC, help="name or folder of the latent coder")
    parser.add_argument("--bytes", nargs="+", type=int, default=[64, 128, 512], help="of a tile's packet, a panel each")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")


def run(args: argparse.Namespace) -> int:
    """Encode, decode and draw."""
    config, generator = StreetMapConfig(), np.random.default_rng(0)
    street = simulate_map(args.seed, config) if args.sequence is None else kitti_map(args.kitti, args.sequence, config)
    middle = np.median(street.points[:, :2], axis=0)
    tiles = {
        key: draw_points(tile, min(TILE_POINTS, len(tile.points)), generator)
        for key, tile in cut_tiles(street, LEAST_POINTS).items()
        if np.abs((np.array(key) + 0.5) * TILE_SIZE - middle).max() < REACH
    }
    coder = LatentTileCoder.from_pretrained(args.model)
    panels = {f"original, {sum(len(tile.points) for tile in tiles.values()):,} points": join_tiles(tiles)}
    for budget in args.bytes:
        decoded, total = pass_through(coder, tiles, budget)
        panels[f"{budget} bytes a tile, {len(tiles)} tiles: {total:,} bytes"] = join_tiles(decoded)
    print(draw_streets(list(panels), list(panels.values()), middle, args.out))
    return 0


def pass_through(
    coder: LatentTileCoder, tiles: Mapping[TileKey, TileContent], budget: int
) -> tuple[dict[TileKey, TileContent], int]:
    """Return what a receiver has of tiles, and the bytes of all packets."""
    decoded, total = {}, 0
    for key, tile in tiles.items():
        around = len(pack_packet(Packet(coder.id, coder.decoder_hash, key, 1000, b"")))
        payload = coder.encode(TileContent(tile.points, np.zeros_like(tile.labels)), budget - around)
        if payload is not None:
            decoded[key], total = coder.decode(payload), total + len(payload) + around
    return decoded, total


def join_tiles(tiles: Mapping[TileKey, TileContent]) -> NDArray[np.float32]:
    """Return the points of tiles in the map frame, ``(N, 3)``."""
    parts = [tile.points + np.array([key.ix * TILE_SIZE, key.iy * TILE_SIZE, 0.0]) for key, tile in tiles.items()]
    return np.concatenate(parts).astype(np.float32)


def draw_streets(
    titles: Sequence[str], clouds: Sequence[NDArray[np.float32]], middle: NDArray[np.floating], path: Path
) -> Path:
    """Draw clouds in two rows, coloured by height."""
    from matplotlib import colormaps
    from PIL import Image

    ground = float(np.percentile(clouds[0][:, 2], 10))
    figure, panels = dark_figure(len(titles), (17.0, 12.0), rows=2)
    figure.subplots_adjust(bottom=0.01, hspace=0.08)
    for axes, title, cloud in zip(panels, titles, clouds, strict=True):
        shades = colormaps["turbo"](0.05 + 0.9 * np.clip((cloud[:, 2] - ground - LOW) / (HIGH - LOW), 0, 1))[:, :3]
        place = np.array([middle[0], middle[1], ground + 2.0])
        draw_view(axes, look_from_behind(cloud - place, height=22.0, distance=38.0), shades, title)
    save_figure(figure, path)
    with Image.open(path) as picture:  # so many points of so many colours: a palette is a quarter of the bytes
        picture.convert("RGB").quantize(128).save(path, optimize=True)
    return path
